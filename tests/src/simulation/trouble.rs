//! What breaks: programs, machines and disks on both sides.

use duxue_server::store::faulty::{DiskFaults, StoreFaults};

use duxue_client_core::Command;
use duxue_protocol::api::{Role, Session};

use super::device::Device;
use super::machine::Backup;
use super::prototype::{INSPECTORS, prototype};
use super::world::{Faults, World};

/// The most devices in a world.
const DEVICES_MAX: usize = 6;

impl World {
    /// Something breaks, perhaps.
    pub(super) fn trouble(&mut self) -> bool {
        let faults = self.faults;
        if faults.photos > 0 && self.trouble_with_photos() {
            return true;
        }
        let device = self.below(self.devices.len());
        if self.chance(faults.crash) {
            self.count("a device crashed");
            self.crash(device);
        } else if self.chance(faults.cut) && !self.links.is_empty() {
            self.count("a connection broke");
            let link = self.below(self.links.len());
            self.cut(link);
        } else if self.chance(faults.device_restore) {
            self.restore_device(device);
        } else if self.chance(faults.device_copy) && self.devices.len() < DEVICES_MAX {
            let unnoticed = self.chance(500);
            self.copy_device(device, unnoticed);
        } else if self.chance(faults.kill) {
            self.count("the server was killed");
            self.kill_server(false);
        } else if self.chance(faults.power) {
            self.count("the power went");
            self.kill_server(true);
        } else if self.chance(faults.restore) {
            self.restore_server();
        } else if self.chance(faults.hand_over) {
            self.hand_over(device);
        } else if faults.rights > 0 && self.chance(faults.rights) {
            let (person, stands) = (self.below(prototype().identities.len()), self.chance(600));
            if self.machine.assign(person, stands) && !stands {
                self.count("a right was withdrawn");
            }
        } else if self.chance(faults.server_full) {
            self.count("the server's disk was full");
            let room = self.below(2_000) as u64;
            let full = self.chance(500);
            self.machine.leave_room(full.then_some(room));
        } else {
            return false;
        }
        true
    }

    /// Someone starts a server that is down, and starts one again whose
    /// journal has stopped, after a while.
    pub(super) fn see_to_the_server(&mut self) -> bool {
        let at_once = self.faults.kill + self.faults.power == 0;
        if self.machine.is_up() && !self.machine.has_stopped() || !at_once && !self.chance(60) {
            return false;
        }
        if self.machine.has_stopped() {
            self.count("the journal stopped");
        }
        self.machine.kill();
        self.start_server();
        true
    }

    /// Starts the server; its disk works while it starts and fails after that.
    pub fn start_server(&mut self) {
        self.machine.leave_room(None);
        self.machine.start(false);
        self.apply_faults();
    }

    /// Sets how often the disk and the store of the server fail.
    pub fn apply_faults(&mut self) {
        let Faults { disk, read, .. } = self.faults;
        let disk = DiskFaults { write: disk, sync: disk, create: disk };
        let store = StoreFaults { read_fails: read, compact_fails: read, ..StoreFaults::default() };
        self.machine.set_faults(disk, store);
    }

    /// The server ends. With the power some of what was being written goes.
    pub fn kill_server(&mut self, power: bool) {
        if power && self.chance(500) {
            let changes = self.below(4) as u64;
            self.machine.lose_power_while_flushing(changes);
        } else if power {
            self.machine.lose_power();
        } else {
            self.machine.kill();
        }
    }

    /// Makes a copy of the server's disk, or puts the last one back.
    pub fn restore_server(&mut self) {
        let put_back = self.chance(500);
        match self.backup.take().filter(|_| put_back) {
            Some(backup) => {
                self.put_back(&backup);
            }
            None if self.machine.is_up() && !self.machine.has_stopped() => {
                self.backup = Some(self.machine.backup());
            }
            None => {}
        }
    }

    /// Puts the server's disk back to a copy.
    pub fn put_back(&mut self, backup: &Backup) {
        self.count("the server was put back to a backup");
        self.machine.restore(backup);
        self.apply_faults();
        self.forget_what_no_disk_has();
    }

    /// Somebody logs in on an inspector's device, who may be another one. That
    /// is refused while there is work that only this device has.
    fn hand_over(&mut self, device: usize) {
        let Device { role, engine, .. } = &self.devices[device];
        if *role != Role::Inspector || engine.identity().is_none() {
            return;
        }
        let next = self.below(INSPECTORS);
        let identity = prototype().identities[next].clone();
        let session = Session {
            token: identity.token,
            person: identity.person,
            device: identity.device,
            expires_ms: identity.expires_ms,
            server_key: identity.server_key,
            server_time_ms: self.now_ms,
        };
        self.command(device, Command::TakeSession { server: identity.server, session });
    }

    /// Makes a copy of a device's disk, or puts the last one back behind the
    /// engine's back, so that it goes on under the same actor.
    pub fn restore_device(&mut self, device: usize) {
        let put_back = self.chance(500);
        match self.devices[device].backup.take().filter(|_| put_back) {
            Some(disk) => {
                self.count("a device was put back to a backup");
                let lost = self.devices[device].actors().into_values();
                self.put_back.extend(lost);
                self.devices[device].disk = disk;
                self.forget_what_no_disk_has();
                self.devices[device].storage.clear();
                self.crash(device);
            }
            None => self.devices[device].backup = Some(self.devices[device].disk.clone()),
        }
    }

    /// Another device begins with a copy of this one's disk. Where it takes it
    /// for its own both go on under one actor.
    pub fn copy_device(&mut self, device: usize, unnoticed: bool) {
        self.count(if unnoticed { "a device was copied unnoticed" } else { "a device was copied" });
        let original = &self.devices[device];
        let name = format!("{}-copy-{}", original.name, self.devices.len());
        let (role, disk) = (original.role, original.disk.clone());
        let mut copy = Device::new(&name, &prototype().identities[0], role);
        copy.disk = disk;
        if unnoticed {
            copy.stamp = original.stamp.clone();
        }
        self.devices.push(copy);
        self.wake(self.devices.len() - 1);
    }

    /// Nobody can be asked to keep what an old copy took away everywhere.
    fn forget_what_no_disk_has(&mut self) {
        let mut kept = self.server_markers_on_disk();
        for device in &self.devices {
            kept.extend(device.markers());
        }
        self.captured.retain(|marker| kept.contains(marker));
        self.forget_photos_that_no_disk_has();
    }
}
