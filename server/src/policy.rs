//! Who may do what: two tables, tested row by row.

use duxue_document::DocumentKind::{self, County, Plan, Review, Ruling, Survey};
use duxue_protocol::api::Role::{self, Administrator, Bureau, Inspector, Supervisor};

/// Which schools of a round a right reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The schools that the person is assigned to.
    Assigned,
    /// All schools of the round, and the county.
    County,
}

/// Reading or writing a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Receiving its changes.
    Read,
    /// Making changes.
    Write,
}

/// One right on documents of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentRight {
    /// Who.
    pub role: Role,
    /// Which documents.
    pub kind: DocumentKind,
    /// May do what.
    pub action: Action,
    /// Where.
    pub scope: Scope,
}

const fn right(role: Role, kind: DocumentKind, action: Action, scope: Scope) -> DocumentRight {
    DocumentRight { role, kind, action, scope }
}

/// Every right on documents; what is not here is denied. Writing does not
/// imply reading.
pub const DOCUMENTS: &[DocumentRight] = &[
    right(Inspector, Survey, Action::Write, Scope::Assigned),
    right(Inspector, Survey, Action::Read, Scope::Assigned),
    right(Inspector, Review, Action::Read, Scope::Assigned),
    right(Inspector, Ruling, Action::Read, Scope::Assigned),
    right(Inspector, Plan, Action::Read, Scope::Assigned),
    right(Supervisor, Survey, Action::Read, Scope::County),
    right(Supervisor, Review, Action::Write, Scope::County),
    right(Supervisor, Review, Action::Read, Scope::County),
    right(Supervisor, Ruling, Action::Read, Scope::County),
    right(Supervisor, County, Action::Read, Scope::County),
    right(Supervisor, Plan, Action::Write, Scope::County),
    right(Supervisor, Plan, Action::Read, Scope::County),
    right(Bureau, Survey, Action::Read, Scope::County),
    right(Bureau, Review, Action::Read, Scope::County),
    right(Bureau, Ruling, Action::Write, Scope::County),
    right(Bureau, Ruling, Action::Read, Scope::County),
    right(Bureau, County, Action::Write, Scope::County),
    right(Bureau, County, Action::Read, Scope::County),
    right(Bureau, Plan, Action::Write, Scope::County),
    right(Bureau, Plan, Action::Read, Scope::County),
];

/// The right of a role on documents of a kind, if it has one.
#[must_use]
pub fn document(role: Role, kind: DocumentKind, action: Action) -> Option<Scope> {
    DOCUMENTS
        .iter()
        .find(|right| right.role == role && right.kind == kind && right.action == action)
        .map(|right| right.scope)
}

/// What the HTTP interface offers within a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// The work packet, and the round in lists.
    Packet,
    /// The list of schools.
    Schools,
    /// One school's consolidated survey and assessment, and its photos.
    School,
    /// Putting photos to a survey.
    Upload,
    /// The conflict inbox, the county's assessment, what-if and the feed.
    Desk,
    /// Register and declared figures.
    Import,
    /// Assignments and enrolment codes.
    Assign,
    /// Changes kept outside the documents.
    Held,
}

/// Every right on services; what is not here is denied.
pub const SERVICES: &[(Role, Service, Scope)] = &[
    (Inspector, Service::Packet, Scope::Assigned),
    (Inspector, Service::Schools, Scope::Assigned),
    (Inspector, Service::School, Scope::Assigned),
    (Inspector, Service::Upload, Scope::Assigned),
    (Supervisor, Service::Packet, Scope::County),
    (Supervisor, Service::Schools, Scope::County),
    (Supervisor, Service::School, Scope::County),
    (Supervisor, Service::Desk, Scope::County),
    (Supervisor, Service::Held, Scope::County),
    (Bureau, Service::Packet, Scope::County),
    (Bureau, Service::Schools, Scope::County),
    (Bureau, Service::School, Scope::County),
    (Bureau, Service::Desk, Scope::County),
    (Bureau, Service::Import, Scope::County),
    (Bureau, Service::Assign, Scope::County),
    (Administrator, Service::Packet, Scope::County),
    (Administrator, Service::Schools, Scope::County),
    (Administrator, Service::Import, Scope::County),
    (Administrator, Service::Assign, Scope::County),
];

/// The right of a role on a service, if it has one.
#[must_use]
pub fn service(role: Role, service: Service) -> Option<Scope> {
    SERVICES.iter().find(|(r, s, _)| *r == role && *s == service).map(|(_, _, scope)| *scope)
}

/// The roles that have a right on a service.
pub fn roles(service: Service) -> impl Iterator<Item = Role> {
    SERVICES.iter().filter(move |(_, offered, _)| *offered == service).map(|(role, ..)| *role)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows: kind, then what inspector, supervisor, bureau and administrator
    /// may do: `-`, `r`, `rw`, with `a` for assigned schools and `c` for the
    /// county. Written from DESIGN §3, not from the table above.
    const EXPECTED: [(DocumentKind, [&str; 4]); 5] = [
        (Survey, ["rw a", "r c", "r c", "-"]),
        (Review, ["r a", "rw c", "r c", "-"]),
        (Ruling, ["r a", "r c", "rw c", "-"]),
        (County, ["-", "r c", "rw c", "-"]),
        (Plan, ["r a", "rw c", "rw c", "-"]),
    ];
    const ROLES: [Role; 4] = [Inspector, Supervisor, Bureau, Administrator];

    #[test]
    fn every_role_has_exactly_the_rights_of_the_design_on_documents() {
        for (kind, row) in EXPECTED {
            for (role, expected) in ROLES.into_iter().zip(row) {
                let scope = if expected.ends_with('a') { Scope::Assigned } else { Scope::County };
                let read = expected.contains('r').then_some(scope);
                let write = expected.contains('w').then_some(scope);
                assert_eq!(document(role, kind, Action::Read), read, "{role:?} reads {kind}");
                assert_eq!(document(role, kind, Action::Write), write, "{role:?} writes {kind}");
            }
        }
    }

    #[test]
    fn every_role_has_exactly_these_services() {
        use Service::*;
        let expected: [(Service, [&str; 4]); 8] = [
            (Packet, ["a", "c", "c", "c"]),
            (Schools, ["a", "c", "c", "c"]),
            (School, ["a", "c", "c", "-"]),
            (Upload, ["a", "-", "-", "-"]),
            (Desk, ["-", "c", "c", "-"]),
            (Import, ["-", "-", "c", "c"]),
            (Assign, ["-", "-", "c", "c"]),
            (Held, ["-", "c", "-", "-"]),
        ];
        for (which, row) in expected {
            for (role, expected) in ROLES.into_iter().zip(row) {
                let scope = match expected {
                    "a" => Some(Scope::Assigned),
                    "c" => Some(Scope::County),
                    _ => None,
                };
                assert_eq!(service(role, which), scope, "{role:?} {which:?}");
            }
        }
    }

    #[test]
    fn no_right_is_stated_twice() {
        for (index, right) in DOCUMENTS.iter().enumerate() {
            let same = |other: &DocumentRight| {
                (other.role, other.kind, other.action) == (right.role, right.kind, right.action)
            };
            assert!(!DOCUMENTS[index + 1..].iter().any(same), "{right:?}");
        }
    }
}
