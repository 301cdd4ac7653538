//! The machine code of a proxy for x86.
//!
//! Jumps and calls within the code tell a distance, all other references an address.

use super::{
    ALTERED_SEARCH, Code, FUNCTION_NOT_FOUND, Import, Label, MAX_PATH, MODULE_NOT_FOUND, OWN_PATH,
    PATH_ROOM, Place,
};

/// Where on the stack [`write_bind`] has the path, behind the vector registers.
const PATH_ON_STACK: u32 = 8 * 0x10;
/// Bytes of the stack that it uses besides.
const BIND_STACK: u32 = PATH_ON_STACK + PATH_ROOM;
/// Where the number of the export is from what [`write_bind`] keeps of the call: eight registers
/// and the flags lie between.
const NUMBER: u8 = 9 * 4;
/// `EXCEPTION_NONCONTINUABLE`
const NONCONTINUABLE: u8 = 1;

/// Writes the code for so many exports.
pub fn write(code: &mut Code, count: u32) {
    let [copy, missing, bind] = [(); 3].map(|()| code.label());
    write_copy(code, copy);
    write_entry(code, copy);
    code.align();
    code.here(missing);
    raise(code, FUNCTION_NOT_FOUND);
    write_bind(code, bind, copy, missing, count);
    for number in 0..count {
        write_stub(code, number);
        write_unbound(code, number, bind);
    }
}

fn call(code: &mut Code, function: Import) {
    code.absolute(&[0xFF, 0x15], Place::Import(function)); // call [function]
}

/// Copies the UTF-16 string at esi to edi, NUL and all. Changes eax, esi, edi only.
fn write_copy(code: &mut Code, copy: Label) {
    code.align();
    code.here(copy);
    code.put(&[0x66, 0xAD]); // lodsw
    code.put(&[0x66, 0xAB]); // stosw
    code.put(&[0x66, 0x85, 0xC0]); // test ax, ax
    code.relative(&[0x0F, 0x85], Place::Label(copy)); // jne copy
    code.put(&[0xC3]); // ret
}

/// The DLL's entry point: loads the module from the proxy's own folder. Whatever fails, the program
/// runs on.
fn write_entry(code: &mut Code, copy: Label) {
    let (back, done) = (code.label(), code.label());
    code.align();
    code.entry = code.len();
    code.put(&[0x55]); // push ebp
    code.put(&[0x8B, 0xEC]); // mov ebp, esp
    code.put(&[0x56]); // push esi
    code.put(&[0x57]); // push edi
    code.put(&[0x83, 0x7D, 0x0C, 0x01]); // cmp dword ptr [ebp+0Ch], DLL_PROCESS_ATTACH
    code.relative(&[0x0F, 0x85], Place::Label(done)); // jne done
    code.put(&[0xFF, 0x75, 0x08]); // push dword ptr [ebp+8]
    call(code, Import::DisableThreadLibraryCalls);
    code.number(&[0x68], OWN_PATH); // push OWN_PATH
    code.absolute(&[0x68], Place::OwnPath); // push OwnPath
    code.put(&[0xFF, 0x75, 0x08]); // push dword ptr [ebp+8]
    call(code, Import::GetModuleFileNameW);
    code.absolute(&[0xB9], Place::OwnPath); // mov ecx, OwnPath
    code.put(&[0x8D, 0x3C, 0x41]); // lea edi, [ecx+eax*2]
    code.here(back); // to behind the last backslash
    code.put(&[0x3B, 0xF9]); // cmp edi, ecx
    code.relative(&[0x0F, 0x86], Place::Label(done)); // jbe done
    code.put(&[0x83, 0xEF, 0x02]); // sub edi, 2
    code.put(&[0x66, 0x83, 0x3F, b'\\']); // cmp word ptr [edi], '\'
    code.relative(&[0x0F, 0x85], Place::Label(back)); // jne back
    code.put(&[0x83, 0xC7, 0x02]); // add edi, 2
    code.absolute(&[0xBE], Place::ModuleName); // mov esi, ModuleName
    code.relative(&[0xE8], Place::Label(copy)); // call copy
    code.number(&[0x68], ALTERED_SEARCH); // push ALTERED_SEARCH
    code.put(&[0x6A, 0x00]); // push 0
    code.absolute(&[0x68], Place::OwnPath); // push OwnPath
    call(code, Import::LoadLibraryExW);
    code.here(done);
    code.number(&[0xB8], 1); // mov eax, TRUE
    code.put(&[0x5F]); // pop edi
    code.put(&[0x5E]); // pop esi
    code.put(&[0x5D]); // pop ebp
    code.put(&[0xC2, 0x0C, 0x00]); // ret 0Ch
}

/// Raises an exception behind which nothing can go on: only the function that is missing would have
/// known how many arguments to take off the stack.
fn raise(code: &mut Code, exception: u32) {
    code.put(&[0x6A, 0x00]); // push 0
    code.put(&[0x6A, 0x00]); // push 0
    code.put(&[0x6A, NONCONTINUABLE]); // push NONCONTINUABLE
    code.number(&[0x68], exception); // push exception
    call(code, Import::RaiseException);
    code.put(&[0xCC]); // int3
}

/// Fills all slots, then goes on to the function whose number is on the stack, as if it had been
/// called directly. Two threads may do this at once: both write the same.
fn write_bind(code: &mut Code, bind: Label, copy: Label, missing: Label, count: u32) {
    let [next, ask, found, bound, no_module] = [(); 5].map(|()| code.label());
    code.align();
    code.here(bind);
    keep_call(code);
    load_system_dll(code, copy);
    code.put(&[0x85, 0xC0]); // test eax, eax
    code.relative(&[0x0F, 0x84], Place::Label(no_module)); // je no_module
    code.put(&[0x8B, 0xD8]); // mov ebx, eax
    code.put(&[0x33, 0xF6]); // xor esi, esi
    code.here(next);
    code.number(&[0x81, 0xFE], count); // cmp esi, count
    code.relative(&[0x0F, 0x83], Place::Label(bound)); // jae bound
    code.absolute(&[0x8B, 0x14, 0xB5], Place::Wanted); // mov edx, [Wanted+esi*4]
    code.put(&[0x0F, 0xBA, 0xF2, 0x1F]); // btr edx, 31
    code.relative(&[0x0F, 0x82], Place::Label(ask)); // jc ask
    code.absolute(&[0x81, 0xC2], Place::Image); // add edx, Image
    code.here(ask);
    code.put(&[0x52]); // push edx
    code.put(&[0x53]); // push ebx
    call(code, Import::GetProcAddress);
    code.put(&[0x85, 0xC0]); // test eax, eax
    code.relative(&[0x0F, 0x85], Place::Label(found)); // jne found
    code.absolute(&[0xB8], Place::Label(missing)); // mov eax, missing
    code.here(found);
    code.absolute(&[0x89, 0x04, 0xB5], Place::Slot(0)); // mov [Slot(0)+esi*4], eax
    code.put(&[0x46]); // inc esi
    code.relative(&[0xE9], Place::Label(next)); // jmp next
    code.here(bound);
    code.put(&[0x8B, 0x45, NUMBER]); // mov eax, [ebp+NUMBER]
    code.absolute(&[0x8B, 0x04, 0x85], Place::Slot(0)); // mov eax, [Slot(0)+eax*4]
    code.put(&[0x89, 0x45, NUMBER]); // mov [ebp+NUMBER], eax
    restore_call(code);
    code.put(&[0xC3]); // ret, to the function
    code.here(no_module);
    restore_call(code);
    code.put(&[0x83, 0xC4, 0x04]); // add esp, 4
    raise(code, MODULE_NOT_FOUND);
}

/// Loads the system's DLL: eax is its handle, or 0.
fn load_system_dll(code: &mut Code, copy: Label) {
    code.number(&[0x8D, 0xBC, 0x24], PATH_ON_STACK); // lea edi, [esp+path]
    code.put(&[0x8B, 0xDF]); // mov ebx, edi
    code.number(&[0x68], MAX_PATH); // push MAX_PATH
    code.put(&[0x57]); // push edi
    call(code, Import::GetSystemDirectoryW);
    code.put(&[0x8D, 0x3C, 0x47]); // lea edi, [edi+eax*2]
    code.absolute(&[0xBE], Place::SystemName); // mov esi, SystemName
    code.relative(&[0xE8], Place::Label(copy)); // call copy
    code.put(&[0x6A, 0x00]); // push 0
    code.put(&[0x6A, 0x00]); // push 0
    code.put(&[0x53]); // push ebx
    call(code, Import::LoadLibraryExW);
}

/// Keeps all registers, since there are calling conventions that use any of them, and makes room;
/// ebp is where the first are.
fn keep_call(code: &mut Code) {
    code.put(&[0x60]); // pushad
    code.put(&[0x9C]); // pushfd
    code.put(&[0x8B, 0xEC]); // mov ebp, esp
    code.number(&[0x81, 0xEC], BIND_STACK); // sub esp, BIND_STACK
    code.put(&[0x83, 0xE4, 0xF0]); // and esp, -16
    vectors(code, 0x11); // movups [esp+…], xmm0 to xmm7
}

fn restore_call(code: &mut Code) {
    vectors(code, 0x10); // movups xmm0 to xmm7, [esp+…]
    code.put(&[0x8B, 0xE5]); // mov esp, ebp
    code.put(&[0x9D]); // popfd
    code.put(&[0x61]); // popad
}

fn vectors(code: &mut Code, opcode: u8) {
    for register in 0..8u8 {
        // ModRM: the register in bits 3 to 5, and a place on the stack with a displacement of 8
        // bits.
        code.put(&[0x0F, opcode, 0x44 | register << 3, 0x24, register * 0x10]);
    }
}

/// The export with this number.
fn write_stub(code: &mut Code, number: u32) {
    code.align();
    code.stubs.push(code.len());
    code.absolute(&[0xFF, 0x25], Place::Slot(number)); // jmp [Slot(number)]
}

/// What its slot leads to at first.
fn write_unbound(code: &mut Code, number: u32, bind: Label) {
    code.unbound.push(code.len());
    code.number(&[0x68], number); // push number
    code.relative(&[0xE9], Place::Label(bind)); // jmp bind
}
