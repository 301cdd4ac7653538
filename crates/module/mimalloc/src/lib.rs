//! `mimalloc.dll`: a program that links with it gets mimalloc's whole public interface, and has the
//! heaps of its C runtimes taken over, wherever the DLL stands in its import table.

#![no_std]
#![cfg(windows)]

allograft_module::no_std_module!();
