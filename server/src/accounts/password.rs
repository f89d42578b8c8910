//! Argon2id, off the async threads and at most two at a time, since each
//! hash takes 19 MiB and a good part of a second.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use tokio::sync::Semaphore;

use crate::fault::{self, Fault};

/// Longest password that is hashed, in bytes.
pub const MAX_LENGTH: usize = 256;
/// Shortest password that may be set, in characters.
pub const MIN_LENGTH: usize = 8;

/// A hash of no one's password, verified for unknown names so that they take
/// as long as known ones.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$YXV0aG9yaXNlLW5vLW9uZQ$n1Ow2NffSMmQsLQ0mXGpDU3BJ0GbyPpRkI6qTXQJxXs";

/// Hashes and verifies passwords.
pub struct Passwords {
    running: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { running: Semaphore::new(2) }
    }
}

impl Passwords {
    /// The PHC string of a new password.
    ///
    /// # Errors
    /// `request.invalid` for a password that is too short or too long.
    pub async fn hash(&self, password: String) -> Result<String, Fault> {
        if password.chars().count() < MIN_LENGTH || password.len() > MAX_LENGTH {
            return Err(fault::invalid().with_detail("password"));
        }
        self.run(move || {
            Argon2::default().hash_password(password.as_bytes()).map(|hash: PasswordHash| hash.to_string())
        })
        .await?
        .map_err(|error| {
            tracing::error!(%error, "a password could not be hashed");
            fault::internal()
        })
    }

    /// Whether the password is the hashed one; takes as long without a hash.
    ///
    /// # Errors
    /// Only where the machine fails.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Fault> {
        if password.len() > MAX_LENGTH {
            return Ok(false);
        }
        self.run(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
            PasswordHash::new(&hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
                && known
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
        let _permit = self.running.acquire().await.map_err(|_| fault::not_ready())?;
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "password work failed");
            fault::internal()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nobody_can_be_verified_against() {
        assert!(PasswordHash::new(NOBODY).is_ok());
    }

    #[tokio::test]
    async fn verifies_the_password_that_was_hashed_and_no_other() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse".to_owned()).await.expect("hashes");
        for (password, hash, expected) in [
            ("correct horse", Some(hash.clone()), true),
            ("wrong horse", Some(hash.clone()), false),
            ("", Some(hash), false),
            ("correct horse", None, false),
            ("correct horse", Some("not a hash".to_owned()), false),
        ] {
            assert_eq!(passwords.verify(password.to_owned(), hash).await, Ok(expected), "{password}");
        }
        let short = passwords.hash("short".to_owned()).await;
        assert_eq!(short.map_err(|fault| fault.problem.code), Err("request.invalid".into()));
    }
}
