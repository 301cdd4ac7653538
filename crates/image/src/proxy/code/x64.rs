//! The machine code of a proxy for x86-64.
//!
//! Every reference to a place of the image is relative to the end of its instruction.

use super::{
    ALTERED_SEARCH, Code, FUNCTION_NOT_FOUND, Frame, Import, Label, MAX_PATH, MODULE_NOT_FOUND,
    OWN_PATH, PATH_ROOM, Place,
};

/// Where on the stack [`write_bind`] has the path.
const PATH_ON_STACK: u8 = 0xB0;
/// Bytes of the stack that it uses: it keeps what the call brought with it, and the path. A call
/// finds the stack aligned to 16 bytes less 8.
const BIND_STACK: u32 = (PATH_ON_STACK as u32 + PATH_ROOM).next_multiple_of(16) + 8;
/// Bytes of the stack that [`write_entry`] uses.
const ENTRY_STACK: u8 = 0x38;
/// Bytes of the stack that [`write_missing`] uses.
const MISSING_STACK: u8 = 0x28;

/// Writes the code for so many exports.
pub fn write(code: &mut Code, count: u32) {
    let [copy, missing, bind] = [(); 3].map(|()| code.label());
    write_copy(code, copy);
    write_entry(code, copy);
    write_missing(code, missing);
    write_bind(code, bind, copy, missing, count);
    for number in 0..count {
        write_stub(code, number);
        write_unbound(code, number, bind);
    }
}

fn call(code: &mut Code, function: Import) {
    code.relative(&[0xFF, 0x15], Place::Import(function)); // call [function]
}

fn framed(code: &mut Code, stack: u32, body: impl FnOnce(&mut Code)) {
    code.align();
    let begin = code.len();
    body(code);
    let end = code.len();
    code.frames.push(Frame { begin, end, stack });
}

/// Copies the UTF-16 string at r8 to rdx, NUL and all. Changes rax, rdx, r8 only, and does not use
/// the stack.
fn write_copy(code: &mut Code, copy: Label) {
    code.align();
    code.here(copy);
    code.put(&[0x66, 0x41, 0x8B, 0x00]); // mov ax, [r8]
    code.put(&[0x66, 0x89, 0x02]); // mov [rdx], ax
    code.put(&[0x49, 0x83, 0xC0, 0x02]); // add r8, 2
    code.put(&[0x48, 0x83, 0xC2, 0x02]); // add rdx, 2
    code.put(&[0x66, 0x85, 0xC0]); // test ax, ax
    code.relative(&[0x0F, 0x85], Place::Label(copy)); // jne copy
    code.put(&[0xC3]); // ret
}

/// The DLL's entry point: loads the module from the proxy's own folder. Whatever fails, the program
/// runs on.
fn write_entry(code: &mut Code, copy: Label) {
    let (back, done) = (code.label(), code.label());
    framed(code, ENTRY_STACK.into(), |code| {
        code.entry = code.len();
        code.put(&[0x48, 0x83, 0xEC, ENTRY_STACK]); // sub rsp, ENTRY_STACK
        code.put(&[0x83, 0xFA, 0x01]); // cmp edx, DLL_PROCESS_ATTACH
        code.relative(&[0x0F, 0x85], Place::Label(done)); // jne done
        code.put(&[0x48, 0x89, 0x4C, 0x24, 0x20]); // mov [rsp+20h], rcx
        call(code, Import::DisableThreadLibraryCalls);
        code.put(&[0x48, 0x8B, 0x4C, 0x24, 0x20]); // mov rcx, [rsp+20h]
        code.relative(&[0x48, 0x8D, 0x15], Place::OwnPath); // lea rdx, OwnPath
        code.number(&[0x41, 0xB8], OWN_PATH); // mov r8d, OWN_PATH
        call(code, Import::GetModuleFileNameW);
        code.put(&[0x89, 0xC0]); // mov eax, eax
        code.relative(&[0x48, 0x8D, 0x0D], Place::OwnPath); // lea rcx, OwnPath
        code.put(&[0x48, 0x8D, 0x14, 0x41]); // lea rdx, [rcx+rax*2]
        code.here(back); // to behind the last backslash
        code.put(&[0x48, 0x39, 0xCA]); // cmp rdx, rcx
        code.relative(&[0x0F, 0x86], Place::Label(done)); // jbe done
        code.put(&[0x48, 0x83, 0xEA, 0x02]); // sub rdx, 2
        code.put(&[0x66, 0x83, 0x3A, b'\\']); // cmp word ptr [rdx], '\'
        code.relative(&[0x0F, 0x85], Place::Label(back)); // jne back
        code.put(&[0x48, 0x83, 0xC2, 0x02]); // add rdx, 2
        code.relative(&[0x4C, 0x8D, 0x05], Place::ModuleName); // lea r8, ModuleName
        code.relative(&[0xE8], Place::Label(copy)); // call copy
        code.put(&[0x31, 0xD2]); // xor edx, edx
        code.number(&[0x41, 0xB8], ALTERED_SEARCH); // mov r8d, ALTERED_SEARCH
        call(code, Import::LoadLibraryExW);
        code.here(done);
        code.number(&[0xB8], 1); // mov eax, TRUE
        code.put(&[0x48, 0x83, 0xC4, ENTRY_STACK]); // add rsp, ENTRY_STACK
        code.put(&[0xC3]); // ret
    });
}

/// What the slots of functions that the system's DLL does not have lead to.
fn write_missing(code: &mut Code, missing: Label) {
    framed(code, MISSING_STACK.into(), |code| {
        code.here(missing);
        code.put(&[0x48, 0x83, 0xEC, MISSING_STACK]); // sub rsp, MISSING_STACK
        raise(code, FUNCTION_NOT_FOUND);
        code.put(&[0x48, 0x83, 0xC4, MISSING_STACK]); // add rsp, MISSING_STACK
        code.put(&[0xC3]); // ret
    });
}

/// Raises an exception; for programs that go on behind it the call returns 0.
fn raise(code: &mut Code, exception: u32) {
    code.number(&[0xB9], exception); // mov ecx, exception
    code.put(&[0x31, 0xD2]); // xor edx, edx
    code.put(&[0x45, 0x31, 0xC0]); // xor r8d, r8d
    code.put(&[0x45, 0x31, 0xC9]); // xor r9d, r9d
    call(code, Import::RaiseException);
    code.put(&[0x31, 0xC0]); // xor eax, eax
}

/// Fills all slots, then goes on to the function whose number is in eax, as if it had been called
/// directly. Two threads may do this at once: both write the same.
fn write_bind(code: &mut Code, bind: Label, copy: Label, missing: Label, count: u32) {
    let [next, ask, found, bound, no_module] = [(); 5].map(|()| code.label());
    let path = [PATH_ON_STACK, 0, 0, 0];
    framed(code, BIND_STACK, |code| {
        code.here(bind);
        code.number(&[0x48, 0x81, 0xEC], BIND_STACK); // sub rsp, BIND_STACK
        keep_call(code);
        load_system_dll(code, copy);
        code.put(&[0x48, 0x85, 0xC0]); // test rax, rax
        code.relative(&[0x0F, 0x84], Place::Label(no_module)); // je no_module
        code.put(&[0x48, 0x89, 0x44, 0x24, 0x48]); // mov [rsp+48h], rax
        // The path is not needed any more: the number of the export has its place.
        code.put(&[0xC7, 0x84, 0x24]);
        code.put(&path);
        code.put(&[0; 4]); // mov dword ptr [rsp+path], 0
        code.here(next);
        code.put(&[0x8B, 0x84, 0x24]);
        code.put(&path); // mov eax, [rsp+path]
        code.number(&[0x3D], count); // cmp eax, count
        code.relative(&[0x0F, 0x83], Place::Label(bound)); // jae bound
        code.relative(&[0x48, 0x8D, 0x15], Place::Wanted); // lea rdx, Wanted
        code.put(&[0x8B, 0x14, 0x82]); // mov edx, [rdx+rax*4]
        code.put(&[0x0F, 0xBA, 0xF2, 0x1F]); // btr edx, 31
        code.relative(&[0x0F, 0x82], Place::Label(ask)); // jc ask
        code.relative(&[0x48, 0x8D, 0x0D], Place::Image); // lea rcx, Image
        code.put(&[0x48, 0x01, 0xCA]); // add rdx, rcx
        code.here(ask);
        code.put(&[0x48, 0x8B, 0x4C, 0x24, 0x48]); // mov rcx, [rsp+48h]
        call(code, Import::GetProcAddress);
        code.put(&[0x48, 0x85, 0xC0]); // test rax, rax
        code.relative(&[0x0F, 0x85], Place::Label(found)); // jne found
        code.relative(&[0x48, 0x8D, 0x05], Place::Label(missing)); // lea rax, missing
        code.here(found);
        code.put(&[0x8B, 0x8C, 0x24]);
        code.put(&path); // mov ecx, [rsp+path]
        code.relative(&[0x48, 0x8D, 0x15], Place::Slot(0)); // lea rdx, Slot(0)
        code.put(&[0x48, 0x89, 0x04, 0xCA]); // mov [rdx+rcx*8], rax
        code.put(&[0xFF, 0x84, 0x24]);
        code.put(&path); // inc dword ptr [rsp+path]
        code.relative(&[0xE9], Place::Label(next)); // jmp next
        code.here(bound);
        restore_call(code);
        code.put(&[0x8B, 0x44, 0x24, 0x20]); // mov eax, [rsp+20h]
        code.relative(&[0x4C, 0x8D, 0x15], Place::Slot(0)); // lea r10, Slot(0)
        code.put(&[0x49, 0x8B, 0x04, 0xC2]); // mov rax, [r10+rax*8]
        code.number(&[0x48, 0x81, 0xC4], BIND_STACK); // add rsp, BIND_STACK
        code.put(&[0x48, 0xFF, 0xE0]); // jmp rax
        code.here(no_module);
        raise(code, MODULE_NOT_FOUND);
        code.number(&[0x48, 0x81, 0xC4], BIND_STACK); // add rsp, BIND_STACK
        code.put(&[0xC3]); // ret
    });
}

/// Loads the system's DLL: rax is its handle, or 0.
fn load_system_dll(code: &mut Code, copy: Label) {
    let path = [PATH_ON_STACK, 0, 0, 0];
    code.put(&[0x48, 0x8D, 0x8C, 0x24]);
    code.put(&path); // lea rcx, [rsp+path]
    code.number(&[0xBA], MAX_PATH); // mov edx, MAX_PATH
    call(code, Import::GetSystemDirectoryW);
    code.put(&[0x89, 0xC0]); // mov eax, eax
    code.put(&[0x48, 0x8D, 0x94, 0x44]);
    code.put(&path); // lea rdx, [rsp+rax*2+path]
    code.relative(&[0x4C, 0x8D, 0x05], Place::SystemName); // lea r8, SystemName
    code.relative(&[0xE8], Place::Label(copy)); // call copy
    code.put(&[0x48, 0x8D, 0x8C, 0x24]);
    code.put(&path); // lea rcx, [rsp+path]
    code.put(&[0x31, 0xD2]); // xor edx, edx
    code.put(&[0x45, 0x31, 0xC0]); // xor r8d, r8d
    call(code, Import::LoadLibraryExW);
}

/// Keeps the registers in which a call hands arguments over, `__vectorcall` included, and the
/// number of the export.
fn keep_call(code: &mut Code) {
    code.put(&[0x89, 0x44, 0x24, 0x20]); // mov [rsp+20h], eax
    code.put(&[0x48, 0x89, 0x4C, 0x24, 0x28]); // mov [rsp+28h], rcx
    code.put(&[0x48, 0x89, 0x54, 0x24, 0x30]); // mov [rsp+30h], rdx
    code.put(&[0x4C, 0x89, 0x44, 0x24, 0x38]); // mov [rsp+38h], r8
    code.put(&[0x4C, 0x89, 0x4C, 0x24, 0x40]); // mov [rsp+40h], r9
    vectors(code, 0x11); // movups [rsp+…], xmm0 to xmm5
}

fn restore_call(code: &mut Code) {
    code.put(&[0x48, 0x8B, 0x4C, 0x24, 0x28]); // mov rcx, [rsp+28h]
    code.put(&[0x48, 0x8B, 0x54, 0x24, 0x30]); // mov rdx, [rsp+30h]
    code.put(&[0x4C, 0x8B, 0x44, 0x24, 0x38]); // mov r8, [rsp+38h]
    code.put(&[0x4C, 0x8B, 0x4C, 0x24, 0x40]); // mov r9, [rsp+40h]
    vectors(code, 0x10); // movups xmm0 to xmm5, [rsp+…]
}

fn vectors(code: &mut Code, opcode: u8) {
    for register in 0..6u8 {
        // ModRM: the register in bits 3 to 5, and a place on the stack with a displacement of 32
        // bits.
        code.put(&[0x0F, opcode, 0x84 | register << 3, 0x24]);
        code.put(&(0x50 + 0x10 * u32::from(register)).to_le_bytes());
    }
}

/// The export with this number.
fn write_stub(code: &mut Code, number: u32) {
    code.align();
    code.stubs.push(code.len());
    code.relative(&[0xFF, 0x25], Place::Slot(number)); // jmp [Slot(number)]
}

/// What its slot leads to at first.
fn write_unbound(code: &mut Code, number: u32, bind: Label) {
    code.unbound.push(code.len());
    code.number(&[0xB8], number); // mov eax, number
    code.relative(&[0xE9], Place::Label(bind)); // jmp bind
}
