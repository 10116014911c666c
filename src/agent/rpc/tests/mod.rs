//! A server's port and those who dial it, on loopback: honest, mistaken and hostile.

mod asking;
mod dialling;
mod servers;
mod world;
