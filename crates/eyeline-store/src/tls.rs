//! The cryptography behind encrypted connections, chosen in one place.

/// Makes `ring` the process's provider of cryptography, unless one is chosen already. Clients of HTTP and Redis take
/// the process's provider and cannot be built before.
pub fn choose_provider() {
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
}
