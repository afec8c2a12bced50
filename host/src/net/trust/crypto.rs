//! The one cryptographic provider, ring, and its randomness.

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, ring};

/// The provider. Given to each configuration by name, so that none depends on what else in the process chose a default.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(ring::default_provider())))
}

/// Makes it the one of the process, for a library that cannot be given one: unless the process has chosen another before.
pub(crate) fn make_default() {
    // There is one already, then.
    let _ = provider().as_ref().clone().install_default();
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    provider().secure_random.fill(&mut bytes).expect("the system has randomness");
    bytes
}
