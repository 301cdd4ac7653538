//! The machine code of a proxy, for x86-64.
//!
//! Instructions are written as the bytes they are, with what they mean beside them. Every reference to a place of the image is
//! relative to the end of its instruction and stands in the instruction's last four bytes; [`Code::reference`] notes it, and it is
//! filled in when the image is laid out.

/// Bytes of the stack that [`Code::bind`] uses: it keeps what the call brought with it, and a path.
const BIND_STACK: u32 = 0x338;
/// Where in them the path is; it has room for the system's folder, which is shorter than `MAX_PATH`, and a file name.
const PATH_ON_STACK: u8 = 0xB0;
/// `MAX_PATH`, in characters.
const MAX_PATH: u32 = 260;
/// Bytes of the stack that [`Code::entry`] uses.
const ENTRY_STACK: u8 = 0x38;
/// Bytes of the stack that [`Code::missing`] uses.
const MISSING_STACK: u8 = 0x28;

/// Room for the path of the proxy itself, in characters: as long as Windows has them.
pub const OWN_PATH: u32 = 0x8000;

/// `LOAD_WITH_ALTERED_SEARCH_PATH`: what the module imports is looked for beside it first.
const ALTERED_SEARCH: u32 = 8;

/// The exceptions with which delay-loading tells a program that a module or a function is not there (`VcppException` in
/// delayimp.h). A proxy tells it in the same way.
const MODULE_NOT_FOUND: u32 = 0xC06D_007E;
const FUNCTION_NOT_FOUND: u32 = 0xC06D_007F;

/// The functions of kernel32 that a proxy imports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Import {
    DisableThreadLibraryCalls,
    GetModuleFileNameW,
    GetProcAddress,
    GetSystemDirectoryW,
    LoadLibraryExW,
    RaiseException,
}

impl Import {
    /// All of them, in the order in which they are imported.
    pub const ALL: [Import; 6] = [
        Import::DisableThreadLibraryCalls,
        Import::GetModuleFileNameW,
        Import::GetProcAddress,
        Import::GetSystemDirectoryW,
        Import::LoadLibraryExW,
        Import::RaiseException,
    ];
}

/// A place that the code refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A place in the code itself.
    Label(Label),
    /// Where the loader writes the address of a function.
    Import(Import),
    /// The slot of the export with this number.
    Slot(u32),
    /// For each export, a 32-bit number: the relative address of its name, or its ordinal with bit 31 set.
    Wanted,
    /// `\NAME` of the system's DLL, in UTF-16 with a NUL.
    SystemName,
    /// The module's file name, in UTF-16 with a NUL.
    ModuleName,
    /// Room for [`OWN_PATH`] characters and the module's name.
    OwnPath,
    /// Where the image begins.
    Image,
}

/// A place in the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label(usize);

/// A function that uses the stack, for the tables by which it is unwound.
pub struct Frame {
    /// Offset of its first byte.
    pub begin: u32,
    /// Offset of the byte behind its last.
    pub end: u32,
    /// Bytes of the stack that its first instruction takes.
    pub stack: u32,
}

/// The code of a proxy.
pub struct Code {
    bytes: Vec<u8>,
    /// Offsets of 32-bit displacements, and what they lead to.
    references: Vec<(u32, Place)>,
    labels: Vec<u32>,
    /// The functions that use the stack, in order.
    pub frames: Vec<Frame>,
    /// Offset of the entry point.
    pub entry: u32,
    /// Offsets of the exports.
    pub stubs: Vec<u32>,
    /// Offsets of what the slots lead to before they are filled.
    pub unbound: Vec<u32>,
}

impl Code {
    /// The code for so many exports.
    pub fn for_exports(count: u32) -> Code {
        let mut code = Code {
            bytes: Vec::new(),
            references: Vec::new(),
            labels: Vec::new(),
            frames: Vec::new(),
            entry: 0,
            stubs: Vec::new(),
            unbound: Vec::new(),
        };
        let [copy, missing, bind] = [(); 3].map(|()| code.label());
        code.copy(copy);
        code.entry(copy);
        code.missing(missing);
        code.bind(bind, copy, missing, count);
        for number in 0..count {
            code.stub(number);
            code.unbound(number, bind);
        }
        code
    }

    /// The bytes, for code that begins at `address`; `address_of` tells where the other places are.
    pub fn at(mut self, address: u32, address_of: impl Fn(Place) -> u32) -> Vec<u8> {
        for &(offset, place) in &self.references {
            let to = match place {
                Place::Label(label) => address + self.labels[label.0],
                other => address_of(other),
            };
            let displacement = to.wrapping_sub(address + offset + 4);
            let offset = offset as usize;
            self.bytes[offset..offset + 4].copy_from_slice(&displacement.to_le_bytes());
        }
        self.bytes
    }

    /// How long the code is, in bytes.
    pub fn len(&self) -> u32 {
        self.bytes.len() as u32
    }

    fn label(&mut self) -> Label {
        self.labels.push(0);
        Label(self.labels.len() - 1)
    }

    fn here(&mut self, label: Label) {
        self.labels[label.0] = self.len();
    }

    /// A whole instruction without a reference, or several.
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// An instruction that ends with a 32-bit number.
    fn number(&mut self, bytes: &[u8], number: u32) {
        self.put(bytes);
        self.put(&number.to_le_bytes());
    }

    /// An instruction that ends with a reference.
    fn reference(&mut self, bytes: &[u8], place: Place) {
        self.put(bytes);
        self.references.push((self.len(), place));
        self.put(&[0; 4]);
    }

    fn call(&mut self, function: Import) {
        self.reference(&[0xFF, 0x15], Place::Import(function)); // call [function]
    }

    fn align(&mut self) {
        while !self.bytes.len().is_multiple_of(16) {
            self.put(&[0xCC]); // int3
        }
    }

    fn framed(&mut self, stack: u32, body: impl FnOnce(&mut Code)) {
        self.align();
        let begin = self.len();
        body(self);
        let end = self.len();
        self.frames.push(Frame { begin, end, stack });
    }

    /// Copies the UTF-16 string at r8 to rdx, NUL and all. Changes rax, rdx, r8 only, and does not use the stack.
    fn copy(&mut self, copy: Label) {
        self.align();
        self.here(copy);
        self.put(&[0x66, 0x41, 0x8B, 0x00]); // mov ax, [r8]
        self.put(&[0x66, 0x89, 0x02]); // mov [rdx], ax
        self.put(&[0x49, 0x83, 0xC0, 0x02]); // add r8, 2
        self.put(&[0x48, 0x83, 0xC2, 0x02]); // add rdx, 2
        self.put(&[0x66, 0x85, 0xC0]); // test ax, ax
        self.reference(&[0x0F, 0x85], Place::Label(copy)); // jne copy
        self.put(&[0xC3]); // ret
    }

    /// The DLL's entry point: loads the module from the proxy's own folder. Whatever fails, the program runs on.
    fn entry(&mut self, copy: Label) {
        let (back, done) = (self.label(), self.label());
        self.framed(ENTRY_STACK.into(), |code| {
            code.entry = code.len();
            code.put(&[0x48, 0x83, 0xEC, ENTRY_STACK]); // sub rsp, ENTRY_STACK
            code.put(&[0x83, 0xFA, 0x01]); // cmp edx, DLL_PROCESS_ATTACH
            code.reference(&[0x0F, 0x85], Place::Label(done)); // jne done
            code.put(&[0x48, 0x89, 0x4C, 0x24, 0x20]); // mov [rsp+20h], rcx
            code.call(Import::DisableThreadLibraryCalls);
            code.put(&[0x48, 0x8B, 0x4C, 0x24, 0x20]); // mov rcx, [rsp+20h]
            code.reference(&[0x48, 0x8D, 0x15], Place::OwnPath); // lea rdx, OwnPath
            code.number(&[0x41, 0xB8], OWN_PATH); // mov r8d, OWN_PATH
            code.call(Import::GetModuleFileNameW);
            code.put(&[0x89, 0xC0]); // mov eax, eax
            code.reference(&[0x48, 0x8D, 0x0D], Place::OwnPath); // lea rcx, OwnPath
            code.put(&[0x48, 0x8D, 0x14, 0x41]); // lea rdx, [rcx+rax*2]
            code.here(back); // to behind the last backslash
            code.put(&[0x48, 0x39, 0xCA]); // cmp rdx, rcx
            code.reference(&[0x0F, 0x86], Place::Label(done)); // jbe done
            code.put(&[0x48, 0x83, 0xEA, 0x02]); // sub rdx, 2
            code.put(&[0x66, 0x83, 0x3A, b'\\']); // cmp word ptr [rdx], '\'
            code.reference(&[0x0F, 0x85], Place::Label(back)); // jne back
            code.put(&[0x48, 0x83, 0xC2, 0x02]); // add rdx, 2
            code.reference(&[0x4C, 0x8D, 0x05], Place::ModuleName); // lea r8, ModuleName
            code.reference(&[0xE8], Place::Label(copy)); // call copy
            code.put(&[0x31, 0xD2]); // xor edx, edx
            code.number(&[0x41, 0xB8], ALTERED_SEARCH); // mov r8d, ALTERED_SEARCH
            code.call(Import::LoadLibraryExW);
            code.here(done);
            code.number(&[0xB8], 1); // mov eax, TRUE
            code.put(&[0x48, 0x83, 0xC4, ENTRY_STACK]); // add rsp, ENTRY_STACK
            code.put(&[0xC3]); // ret
        });
    }

    /// What the slots of functions that the system's DLL does not have lead to.
    fn missing(&mut self, missing: Label) {
        self.framed(MISSING_STACK.into(), |code| {
            code.here(missing);
            code.put(&[0x48, 0x83, 0xEC, MISSING_STACK]); // sub rsp, MISSING_STACK
            code.raise(FUNCTION_NOT_FOUND);
            code.put(&[0x48, 0x83, 0xC4, MISSING_STACK]); // add rsp, MISSING_STACK
            code.put(&[0xC3]); // ret
        });
    }

    /// Raises an exception; for programs that go on behind it the call returns 0.
    fn raise(&mut self, exception: u32) {
        self.number(&[0xB9], exception); // mov ecx, exception
        self.put(&[0x31, 0xD2]); // xor edx, edx
        self.put(&[0x45, 0x31, 0xC0]); // xor r8d, r8d
        self.put(&[0x45, 0x31, 0xC9]); // xor r9d, r9d
        self.call(Import::RaiseException);
        self.put(&[0x31, 0xC0]); // xor eax, eax
    }

    /// Fills all slots, then goes on to the function whose number is in eax, as if it had been called directly. Two threads may do
    /// this at once: both write the same.
    fn bind(&mut self, bind: Label, copy: Label, missing: Label, count: u32) {
        let [next, ask, found, bound, no_module] = [(); 5].map(|()| self.label());
        let path = [PATH_ON_STACK, 0, 0, 0];
        self.framed(BIND_STACK, |code| {
            code.here(bind);
            code.number(&[0x48, 0x81, 0xEC], BIND_STACK); // sub rsp, BIND_STACK
            code.keep_call();
            code.load_system_dll(copy);
            code.put(&[0x48, 0x85, 0xC0]); // test rax, rax
            code.reference(&[0x0F, 0x84], Place::Label(no_module)); // je no_module
            code.put(&[0x48, 0x89, 0x44, 0x24, 0x48]); // mov [rsp+48h], rax
            // The path is not needed any more: the number of the export has its place.
            code.put(&[0xC7, 0x84, 0x24]);
            code.put(&path);
            code.put(&[0; 4]); // mov dword ptr [rsp+path], 0
            code.here(next);
            code.put(&[0x8B, 0x84, 0x24]);
            code.put(&path); // mov eax, [rsp+path]
            code.number(&[0x3D], count); // cmp eax, count
            code.reference(&[0x0F, 0x83], Place::Label(bound)); // jae bound
            code.reference(&[0x48, 0x8D, 0x15], Place::Wanted); // lea rdx, Wanted
            code.put(&[0x8B, 0x14, 0x82]); // mov edx, [rdx+rax*4]
            code.put(&[0x0F, 0xBA, 0xF2, 0x1F]); // btr edx, 31
            code.reference(&[0x0F, 0x82], Place::Label(ask)); // jc ask
            code.reference(&[0x48, 0x8D, 0x0D], Place::Image); // lea rcx, Image
            code.put(&[0x48, 0x01, 0xCA]); // add rdx, rcx
            code.here(ask);
            code.put(&[0x48, 0x8B, 0x4C, 0x24, 0x48]); // mov rcx, [rsp+48h]
            code.call(Import::GetProcAddress);
            code.put(&[0x48, 0x85, 0xC0]); // test rax, rax
            code.reference(&[0x0F, 0x85], Place::Label(found)); // jne found
            code.reference(&[0x48, 0x8D, 0x05], Place::Label(missing)); // lea rax, missing
            code.here(found);
            code.put(&[0x8B, 0x8C, 0x24]);
            code.put(&path); // mov ecx, [rsp+path]
            code.reference(&[0x48, 0x8D, 0x15], Place::Slot(0)); // lea rdx, Slot(0)
            code.put(&[0x48, 0x89, 0x04, 0xCA]); // mov [rdx+rcx*8], rax
            code.put(&[0xFF, 0x84, 0x24]);
            code.put(&path); // inc dword ptr [rsp+path]
            code.reference(&[0xE9], Place::Label(next)); // jmp next
            code.here(bound);
            code.restore_call();
            code.put(&[0x8B, 0x44, 0x24, 0x20]); // mov eax, [rsp+20h]
            code.reference(&[0x4C, 0x8D, 0x15], Place::Slot(0)); // lea r10, Slot(0)
            code.put(&[0x49, 0x8B, 0x04, 0xC2]); // mov rax, [r10+rax*8]
            code.number(&[0x48, 0x81, 0xC4], BIND_STACK); // add rsp, BIND_STACK
            code.put(&[0x48, 0xFF, 0xE0]); // jmp rax
            code.here(no_module);
            code.raise(MODULE_NOT_FOUND);
            code.number(&[0x48, 0x81, 0xC4], BIND_STACK); // add rsp, BIND_STACK
            code.put(&[0xC3]); // ret
        });
    }

    /// Loads the system's DLL: rax is its handle, or 0.
    fn load_system_dll(&mut self, copy: Label) {
        let path = [PATH_ON_STACK, 0, 0, 0];
        self.put(&[0x48, 0x8D, 0x8C, 0x24]);
        self.put(&path); // lea rcx, [rsp+path]
        self.number(&[0xBA], MAX_PATH); // mov edx, MAX_PATH
        self.call(Import::GetSystemDirectoryW);
        self.put(&[0x89, 0xC0]); // mov eax, eax
        self.put(&[0x48, 0x8D, 0x94, 0x44]);
        self.put(&path); // lea rdx, [rsp+rax*2+path]
        self.reference(&[0x4C, 0x8D, 0x05], Place::SystemName); // lea r8, SystemName
        self.reference(&[0xE8], Place::Label(copy)); // call copy
        self.put(&[0x48, 0x8D, 0x8C, 0x24]);
        self.put(&path); // lea rcx, [rsp+path]
        self.put(&[0x31, 0xD2]); // xor edx, edx
        self.put(&[0x45, 0x31, 0xC0]); // xor r8d, r8d
        self.call(Import::LoadLibraryExW);
    }

    /// Keeps the registers in which a call hands arguments over, `__vectorcall` included, and the number of the export.
    fn keep_call(&mut self) {
        self.put(&[0x89, 0x44, 0x24, 0x20]); // mov [rsp+20h], eax
        self.put(&[0x48, 0x89, 0x4C, 0x24, 0x28]); // mov [rsp+28h], rcx
        self.put(&[0x48, 0x89, 0x54, 0x24, 0x30]); // mov [rsp+30h], rdx
        self.put(&[0x4C, 0x89, 0x44, 0x24, 0x38]); // mov [rsp+38h], r8
        self.put(&[0x4C, 0x89, 0x4C, 0x24, 0x40]); // mov [rsp+40h], r9
        self.vectors(0x11); // movups [rsp+…], xmm0 to xmm5
    }

    fn restore_call(&mut self) {
        self.put(&[0x48, 0x8B, 0x4C, 0x24, 0x28]); // mov rcx, [rsp+28h]
        self.put(&[0x48, 0x8B, 0x54, 0x24, 0x30]); // mov rdx, [rsp+30h]
        self.put(&[0x4C, 0x8B, 0x44, 0x24, 0x38]); // mov r8, [rsp+38h]
        self.put(&[0x4C, 0x8B, 0x4C, 0x24, 0x40]); // mov r9, [rsp+40h]
        self.vectors(0x10); // movups xmm0 to xmm5, [rsp+…]
    }

    fn vectors(&mut self, opcode: u8) {
        for register in 0..6u8 {
            // ModRM: the register in bits 3 to 5, and a place on the stack with a displacement of 32 bits.
            self.put(&[0x0F, opcode, 0x84 | register << 3, 0x24]);
            self.put(&(0x50 + 0x10 * u32::from(register)).to_le_bytes());
        }
    }

    /// The export with this number.
    fn stub(&mut self, number: u32) {
        self.align();
        self.stubs.push(self.len());
        self.reference(&[0xFF, 0x25], Place::Slot(number)); // jmp [Slot(number)]
    }

    /// What its slot leads to at first.
    fn unbound(&mut self, number: u32, bind: Label) {
        self.unbound.push(self.len());
        self.number(&[0xB8], number); // mov eax, number
        self.reference(&[0xE9], Place::Label(bind)); // jmp bind
    }
}
