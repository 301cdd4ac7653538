//! GCC's unwinder, absent.
//!
//! On x86, rustc links an object into every module that would register the module's frames with
//! that unwinder, which would bring `msvcrt.dll` along. A C runtime would call the object's code;
//! without one it never runs, and these take the unwinder's place for the linker. Nothing needs the
//! frames: on x86 the system unwinds by what frames register on the stack, and panics abort.

allograft_heap::c_symbol!("__register_frame_info", nothing);
allograft_heap::c_symbol!("__deregister_frame_info", nothing);

extern "C" fn nothing() {}
