//! ◇ Fresh random identifiers.

/// A random UUID (version 4) in its usual lower-case form, as every Nomad id is.
pub fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A random non-zero 64-bit number, for the identity of a server that must never repeat.
pub fn random_u64() -> u64 {
    loop {
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        // Both halves carry fixed version and variant bits; mixing them leaves none.
        let mixed = high ^ low.rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if mixed != 0 {
            return mixed;
        }
    }
}
