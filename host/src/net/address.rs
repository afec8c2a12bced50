//! Where a node can be reached: a host's name or address, and a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::str::FromStr;

/// The port that nodes listen at, as Racket's: UDP.
pub const DEFAULT_PORT: u16 = 6340;

/// `HOST:PORT`, `HOST`, `[IPV6]:PORT` or `IPV6`; without a port it is [`DEFAULT_PORT`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no host in it, or one that no machine can have.
    #[error("it names no machine; write it like `host2:6340`")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("its port is no number from 1 to 65535")]
    Port,
}

impl Address {
    /// The addresses by which this machine reaches others, of each family at most one. Where a machine has several, it is that of
    /// the route which everything takes that has no other; nothing is sent to find it.
    pub fn of_this_machine(port: u16) -> Vec<Self> {
        // Documentation's addresses (RFC 5737, RFC 3849): they are nobody's, so only the default route leads there.
        let probes = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];
        let local = probes.iter().filter_map(|(from, to)| {
            let socket = UdpSocket::bind(from).ok()?;
            socket.connect(to).ok()?;
            Some(socket.local_addr().ok()?.ip())
        });
        local.filter(|ip| !ip.is_loopback() && !ip.is_unspecified()).map(|ip| Self { host: ip.to_string(), port }).collect()
    }

    /// The machine.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the machine's name stands for now.
    ///
    /// # Errors
    /// The name is not known, or nobody could be asked.
    pub async fn resolve(&self) -> std::io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((self.host.as_str(), self.port)).await?.collect())
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self { host: ip.to_string(), port: DEFAULT_PORT });
        }
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((ip, rest)) => {
                let ip: Ipv6Addr = ip.parse().map_err(|_| AddressError::Host)?;
                let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(AddressError::Port)?) };
                (ip.to_string(), port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host.to_owned(), Some(port)),
                None => (text.to_owned(), None),
            },
        };
        let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| AddressError::Port))?;
        let is_address = host.parse::<IpAddr>().is_ok();
        let is_name = host.len() <= 253 && host.split('.').all(is_label);
        match (is_address || is_name, port) {
            (false, _) => Err(AddressError::Host),
            (true, 0) => Err(AddressError::Port),
            (true, _) => Ok(Self { host, port }),
        }
    }
}

/// Whether it is a part of a name of the DNS, with the underscore that some local names have.
fn is_label(label: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=63).contains(&label.len()) && label.chars().all(plain) && !label.starts_with('-')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, shown) in [
            ("host2", "host2:6340"),
            ("host2:7000", "host2:7000"),
            ("10.0.0.1", "10.0.0.1:6340"),
            ("::1", "[::1]:6340"),
            ("[::1]", "[::1]:6340"),
            ("[2001:db8::7]:80", "[2001:db8::7]:80"),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
        for text in ["", ":80", "a b", "-x", "a..b", "[x]:1", "user@host"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Host), "{text}");
        }
        for text in ["host:", "host:0", "host:65536", "host:x", "[::1]x", "a:1:2", "ssh://host"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Port), "{text}");
        }
    }
}
