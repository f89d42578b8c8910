//! What is between devices and the server: connections and requests.
//!
//! Frames of one connection keep their order, as TCP promises. All else is
//! open: a connection may break at any frame, seen by both ends or by one;
//! an old one may go on beside the new; a request may be lost before or after
//! it was heard, or be heard twice.

use std::collections::VecDeque;

use duxue_client_core::error::unreachable;
use duxue_client_core::{Event, HttpError};
use tokio::sync::oneshot::error::TryRecvError;
use tokio_tungstenite::tungstenite::Message;

use super::socket::Wire;
use super::world::{Link, World};

impl World {
    /// A connection that was asked for is opened, or is not.
    pub(super) fn connect_one(&mut self, device: usize) -> bool {
        let Some((id, token)) = self.devices[device].connecting.take() else { return false };
        if !self.machine.is_up() || self.chance(self.faults.lose) {
            self.feed(device, Event::Disconnected { link: id, reason: unreachable("refused") });
            return true;
        }
        let (wire, life) = (Wire::default(), self.devices[device].life);
        self.machine.connect(token, &wire);
        let up = VecDeque::new();
        let server = self.machine.lives();
        self.links.push(Link { device, life, id, up, wire, believed: true, silent: false, server });
        self.feed(device, Event::Connected { link: id });
        true
    }

    /// A request leaves; perhaps it is lost, perhaps it arrives twice.
    pub(super) fn ask_one(&mut self, device: usize) -> bool {
        let Some((id, request)) = self.devices[device].outgoing.pop_front() else { return false };
        let body = match self.body(device, &request) {
            Ok(body) => body,
            Err(unreadable) => {
                self.feed(device, Event::Http { id, result: Err(unreadable) });
                return true;
            }
        };
        self.delay(&request, &body);
        if let Some(part) = self.break_off(&request, &body) {
            // Nobody hears an answer.
            let _ = self.machine.request(&request, part, self.now_ms);
            self.feed(device, Event::Http { id, result: Err(HttpError::NoAnswer(unreachable("cut"))) });
            return true;
        }
        if self.chance(self.faults.repeat) {
            // Nobody hears the first answer.
            let _ = self.machine.request(&request, body.clone(), self.now_ms);
        }
        let answer = self.machine.request(&request, body, self.now_ms);
        match answer.filter(|_| !self.chance(self.faults.lose)) {
            Some(answer) => self.devices[device].asked.push((id, answer)),
            None => {
                self.feed(device, Event::Http { id, result: Err(HttpError::NoAnswer(unreachable("lost"))) })
            }
        }
        true
    }

    /// An answer arrives.
    pub(super) fn answer_one(&mut self, device: usize) -> bool {
        let mut heard = None;
        for (at, (id, answer)) in self.devices[device].asked.iter_mut().enumerate() {
            match answer.try_recv() {
                Ok(answer) => heard = Some((at, *id, Ok(answer))),
                Err(TryRecvError::Closed) => {
                    heard = Some((at, *id, Err(HttpError::NoAnswer(unreachable("cut")))))
                }
                Err(TryRecvError::Empty) => continue,
            }
            break;
        }
        let Some((at, id, result)) = heard else { return false };
        self.devices[device].asked.remove(at);
        let result = result.and_then(|answer| {
            if self.chance(self.faults.lose) {
                Err(HttpError::NoAnswer(unreachable("lost")))
            } else {
                Ok(answer)
            }
        });
        self.feed(device, Event::Http { id, result });
        true
    }

    /// Something moves on some connection.
    pub(super) fn any_link(&mut self) -> bool {
        let (first, count) = (self.below(self.links.len()), self.links.len());
        (first..first + count).any(|at| self.move_on(at % count))
    }

    fn move_on(&mut self, at: usize) -> bool {
        if self.links[at].silent {
            return false;
        }
        let up_first = self.chance(500);
        (up_first && self.go_up(at)) || self.go_down(at) || (!up_first && self.go_up(at))
    }

    fn go_up(&mut self, at: usize) -> bool {
        let Some(frame) = self.links[at].up.pop_front() else {
            let link = &self.links[at];
            if link.believed || link.wire.has_ended() {
                return false;
            }
            // The client has gone, and now the server hears of it.
            link.wire.cut();
            self.machine.run();
            return true;
        };
        self.note(frame.len() as u64);
        self.links[at].wire.deliver(Message::Binary(frame.into()));
        self.machine.run();
        true
    }

    fn go_down(&mut self, at: usize) -> bool {
        let link = &self.links[at];
        let (device, life, id) = (link.device, link.life, link.id);
        let believed = link.believed && self.devices[device].life == life;
        match link.wire.take() {
            Some(Message::Binary(frame)) => {
                self.note(frame.len() as u64);
                self.machine.run();
                if believed {
                    self.feed(device, Event::Frame { link: id, bytes: frame.to_vec() });
                }
            }
            Some(Message::Ping(_)) => {
                if believed {
                    link.wire.deliver(Message::Pong(Vec::new().into()));
                }
                self.machine.run();
            }
            Some(_) => self.machine.run(),
            None if link.wire.has_ended() => {
                self.links.remove(at);
                if believed {
                    self.feed(device, Event::Disconnected { link: id, reason: unreachable("closed") });
                }
            }
            None => return false,
        }
        true
    }

    /// A connection breaks. Of what is on its way some arrives, and one end
    /// may not notice for a while, or neither.
    pub fn cut(&mut self, at: usize) {
        let arrives = self.below(self.links[at].up.len() + 1);
        self.links[at].up.truncate(arrives);
        let kind = self.below(4);
        let link = &mut self.links[at];
        let (device, id) = (link.device, link.id);
        let believed = link.believed && self.devices[device].life == link.life;
        match kind {
            // Neither end hears anything, and neither knows.
            0 => link.silent = true,
            // Only the server notices; the device speaks to nobody.
            1 => {
                link.silent = true;
                link.wire.cut();
                self.machine.run();
            }
            // Only the device notices; what is on its way still arrives.
            2 => link.believed = false,
            _ => {
                self.links.remove(at).wire.cut();
                self.machine.run();
            }
        }
        if believed && kind >= 2 {
            self.feed(device, Event::Disconnected { link: id, reason: unreachable("cut") });
        }
    }

    /// Every connection breaks, and both ends know.
    pub fn cut_all(&mut self) {
        for link in std::mem::take(&mut self.links) {
            link.wire.cut();
            if link.believed && self.devices[link.device].life == link.life {
                let event = Event::Disconnected { link: link.id, reason: unreachable("cut") };
                self.feed(link.device, event);
            }
        }
        self.machine.run();
    }
}
