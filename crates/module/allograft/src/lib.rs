//! `allograft.dll`: loaded into a process at any moment, it takes over the heaps of the process's C
//! runtimes.

#![no_std]
#![cfg(windows)]

#[cfg(not(test))]
#[panic_handler]
fn panic(information: &core::panic::PanicInfo<'_>) -> ! {
    allograft_module::stop(information)
}
