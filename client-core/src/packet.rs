//! A work packet as this device uses it.

use duxue_document::SchoolId;
use duxue_protocol::api::{PacketSchool, WorkPacket};
use duxue_standards::Standard;

/// A round as this device knows it.
pub struct Packet {
    /// As fetched.
    pub packet: WorkPacket,
    /// Its standard, or why it cannot be used.
    pub standard: Result<Standard, String>,
}

impl Packet {
    /// Reads the standard of a packet.
    #[must_use]
    pub fn new(packet: WorkPacket) -> Self {
        let files: Vec<&str> = packet.standards.iter().map(String::as_str).collect();
        let standard = Standard::load(&files)
            .map_err(|errors| errors.first().map_or_else(String::new, ToString::to_string));
        Self { packet, standard }
    }

    /// The packet in place of the one before: a standard whose files are the
    /// same is not read again.
    pub(crate) fn after(before: Option<Self>, packet: WorkPacket) -> Self {
        match before {
            Some(before) if before.packet.standards == packet.standards => {
                Self { packet, standard: before.standard }
            }
            _ => Self::new(packet),
        }
    }

    /// Whether the readings of its schools are the same by another packet.
    pub(crate) fn reads_as(&self, packet: &WorkPacket) -> bool {
        let (ours, theirs) = (&self.packet.round.settings, &packet.round.settings);
        let same = |(ours, theirs): (&PacketSchool, &PacketSchool)| {
            ours.school == theirs.school && ours.declared == theirs.declared
        };
        ours.tolerance == theirs.tolerance
            && ours.require_acceptance == theirs.require_acceptance
            && self.packet.schools.len() == packet.schools.len()
            && self.packet.schools.iter().zip(&packet.schools).all(same)
    }

    /// A school of the packet.
    #[must_use]
    pub fn school(&self, school: &SchoolId) -> Option<&PacketSchool> {
        self.packet.schools.iter().find(|known| known.school.id == *school)
    }
}
