//! Randomness from the operating system.

/// A signature nonce: 32 hexadecimal digits, never the same twice.
pub fn nonce() -> String {
    format!("{:016x}{:016x}", number(), number())
}

/// Uniform over all of `u64`.
///
/// # Panics
///
/// When the operating system gives none.
pub fn number() -> u64 {
    // Without randomness no request can be signed; the system has it from early boot on.
    #[expect(clippy::expect_used, reason = "there is no sensible way on, and the hook reports it")]
    getrandom::u64().expect("the operating system gives random numbers")
}
