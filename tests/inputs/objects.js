// Builds objects, buffers and compiled patterns, sorts them, and writes what came out to the file
// that it is given.
const fs = require("fs");
const zlib = require("zlib");

const lines = [];
for (let round = 0; round < 12; round++) {
  const objects = [];
  for (let i = 0; i < 30000; i++) {
    objects.push({ key: (i * 7919 + round) % 100003, name: `name-${i % 1009}` });
  }
  objects.sort((a, b) => a.key - b.key);
  // Buffers outside of the JavaScript heap, and a library of C inside of node.
  const parts = [];
  for (let i = 0; i < 2000; i++) {
    parts.push(Buffer.from(JSON.stringify(objects.slice(i * 15, i * 15 + 15))));
  }
  const packed = parts.slice(0, 200).map((part) => zlib.deflateSync(part));
  const unpacked = packed.map((part) => zlib.inflateSync(part).toString());
  const pattern = new RegExp(`name-(\\d+)${round}`, "g");
  const matches = unpacked.join("").match(pattern) ?? [];
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  lines.push(`${objects[5].name} ${bytes} ${matches.length} ${matches[0]}`);
}
fs.writeFileSync(process.argv[2], lines.join("\n") + "\n");
