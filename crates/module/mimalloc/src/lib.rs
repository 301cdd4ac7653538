//! `mimalloc.dll`: a program that links with it gets mimalloc's whole public interface, and has the
//! heaps of its C runtimes taken over, wherever the DLL stands in its import table.

#![no_std]
#![cfg(windows)]

#[cfg(not(test))]
#[panic_handler]
fn panic(information: &core::panic::PanicInfo<'_>) -> ! {
    allograft_module::stop(information)
}
