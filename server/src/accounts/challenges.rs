//! What a device signs to open a session.
//!
//! A challenge is remembered by nobody: it carries its own end and a code over
//! that and the device's id, so that strangers who ask for many take nothing
//! from anyone. Only those that a device has answered are remembered, until
//! they end, so that each opens one session.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use duxue_document::DeviceId;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::fault::Fault;
use crate::random;

/// How long a device may take to answer its challenge.
const CHALLENGE_MS: i64 = 60 * 1000;

/// Its end (8 bytes, big-endian), random bytes (8), and their code (16).
pub type Challenge = [u8; 32];

/// Makes challenges and knows them again. The key lives as long as the server
/// runs; who was answered before a restart asks again.
pub struct Challenges {
    key: [u8; 32],
    /// By their end, which they begin with.
    used: Mutex<BTreeSet<Challenge>>,
}

impl Challenges {
    /// With a key of its own.
    ///
    /// # Errors
    /// Only where the machine has no randomness.
    pub fn new() -> Result<Self, Fault> {
        Ok(Self { key: random::bytes()?, used: Mutex::default() })
    }

    /// A challenge for a device, known or not.
    ///
    /// # Errors
    /// Only where the machine has no randomness.
    pub fn make(&self, device: &DeviceId, now_ms: i64) -> Result<Challenge, Fault> {
        let end = now_ms.saturating_add(CHALLENGE_MS).max(0).to_be_bytes();
        let nonce = random::bytes::<8>()?;
        let mut challenge = [0; 32];
        challenge[..8].copy_from_slice(&end);
        challenge[8..16].copy_from_slice(&nonce);
        let code = self.code(device, &challenge);
        challenge[16..].copy_from_slice(&code);
        Ok(challenge)
    }

    /// Whether the challenge was made for the device, has not ended, and was
    /// not redeemed before; it is then.
    pub fn redeem(&self, device: &DeviceId, challenge: &Challenge, now_ms: i64) -> bool {
        let ours = bool::from(self.code(device, challenge).ct_eq(&challenge[16..]));
        if !ours || end(challenge) <= now_ms {
            return false;
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while used.first().is_some_and(|first| end(first) <= now_ms) {
            used.pop_first();
        }
        used.insert(*challenge)
    }

    /// A keyed hash of the challenge's end, random bytes and device, hashed
    /// twice so that nothing can be appended.
    fn code(&self, device: &DeviceId, challenge: &Challenge) -> [u8; 16] {
        let inner = Sha256::new()
            .chain_update(self.key)
            .chain_update(&challenge[..16])
            .chain_update(device.as_str())
            .finalize();
        let outer = Sha256::new().chain_update(self.key).chain_update(inner).finalize();
        let mut code = [0; 16];
        code.copy_from_slice(&outer[..16]);
        code
    }
}

fn end(challenge: &Challenge) -> i64 {
    let mut end = [0; 8];
    end.copy_from_slice(&challenge[..8]);
    i64::from_be_bytes(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str) -> DeviceId {
        name.parse().expect("a device id")
    }

    #[test]
    fn a_challenge_opens_one_session_of_its_device_in_its_time() {
        let (challenges, other) = (Challenges::new().expect("random"), Challenges::new().expect("random"));
        let (ours, theirs) = (device("d-1"), device("d-2"));
        let made = challenges.make(&ours, 1_000).expect("random");
        assert!(!challenges.redeem(&theirs, &made, 1_000), "another device's");
        assert!(!other.redeem(&ours, &made, 1_000), "another server's");
        assert!(!challenges.redeem(&ours, &made, 1_000 + CHALLENGE_MS), "ended");
        for byte in 0..made.len() {
            let mut forged = made;
            forged[byte] ^= 1;
            assert!(!challenges.redeem(&ours, &forged, 1_000), "byte {byte}");
        }
        assert!(challenges.redeem(&ours, &made, 1_000 + CHALLENGE_MS - 1));
        assert!(!challenges.redeem(&ours, &made, 1_000), "used");
    }

    #[test]
    fn strangers_take_nothing_from_a_device() {
        let challenges = Challenges::new().expect("random");
        let made = challenges.make(&device("d-1"), 0).expect("random");
        for _ in 0..20_000 {
            challenges.make(&device("d-2"), 0).expect("random");
        }
        assert!(challenges.redeem(&device("d-1"), &made, 1));
        let late = challenges.make(&device("d-1"), 10 * CHALLENGE_MS).expect("random");
        assert!(challenges.redeem(&device("d-1"), &late, 10 * CHALLENGE_MS));
        assert_eq!(challenges.used.lock().expect("whole").len(), 1, "what has ended is forgotten");
    }
}
