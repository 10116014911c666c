//! ◆ Functions of address prefixes, IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Call, Function, Outcome, Problem, fixed, made, number, open, text};
use crate::jobspec::value::{Type, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("cidrhost", &[text("prefix"), number("hostnum")], host),
    fixed("cidrnetmask", &[text("prefix")], netmask),
    fixed("cidrsubnet", &[text("prefix"), number("newbits"), number("netnum")], subnet),
    open("cidrsubnets", &[text("prefix")], number("newbits"), subnets),
];

/// A prefix: its first address as a number, its length, and how many bits an address has.
#[derive(Debug, Clone, Copy)]
struct Prefix {
    base: u128,
    length: u32,
    bits: u32,
}

impl Prefix {
    fn parse(text: &str) -> Result<Self, Problem> {
        let invalid =
            || Problem::Whole(format!("invalid CIDR expression: invalid CIDR address: {text}"));
        let (address, length) = text.split_once('/').ok_or_else(invalid)?;
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        let length: u32 = length.parse().map_err(|_| invalid())?;
        let (value, bits) = match address {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
            IpAddr::V6(v6) => (u128::from(v6), 128),
        };
        if length > bits {
            return Err(invalid());
        }
        Ok(Self { base: value & mask(length, bits), length, bits })
    }

    /// How many bits are left for hosts.
    fn room(self) -> u32 {
        self.bits - self.length
    }

    fn address(self, value: u128) -> IpAddr {
        if self.bits == 32 {
            IpAddr::V4(Ipv4Addr::from(u32::try_from(value & 0xffff_ffff).unwrap_or(0)))
        } else {
            IpAddr::V6(Ipv6Addr::from(value))
        }
    }

    fn text(self) -> String {
        format!("{}/{}", self.address(self.base), self.length)
    }
}

/// The upper `length` bits of `bits`.
fn mask(length: u32, bits: u32) -> u128 {
    let host = bits - length;
    let all = u128::MAX >> (128 - bits);
    all & u128::MAX.checked_shl(host).unwrap_or(0)
}

fn host(call: &Call<'_>) -> Outcome {
    let prefix = Prefix::parse(call.text(0))?;
    let wanted = call
        .number(1)
        .to_i128()
        .ok_or_else(|| Problem::whole("the host number must be a whole number"))?;
    let size = 1u128.checked_shl(prefix.room());
    let host = if wanted < 0 {
        // Counted from the end.
        let back = wanted.unsigned_abs();
        match size {
            Some(size) if back <= size => Some(size - back),
            Some(_) => None,
            None => Some(back.wrapping_neg()),
        }
    } else {
        Some(wanted.unsigned_abs()).filter(|host| size.is_none_or(|size| *host < size))
    };
    let Some(host) = host else {
        return Err(Problem::Whole(format!(
            "prefix of {} does not accommodate a host numbered {wanted}",
            prefix.length
        )));
    };
    made(prefix.address(prefix.base | host).to_string())
}

fn netmask(call: &Call<'_>) -> Outcome {
    let prefix = Prefix::parse(call.text(0))?;
    made(prefix.address(mask(prefix.length, prefix.bits)).to_string())
}

fn subnet(call: &Call<'_>) -> Outcome {
    let prefix = Prefix::parse(call.text(0))?;
    let new_bits = u32::try_from(call.whole(1)?)
        .map_err(|_| Problem::whole("the number of new bits must not be negative"))?;
    let length = prefix.length.saturating_add(new_bits);
    if length > prefix.bits {
        return Err(Problem::Whole(format!(
            "insufficient address space to extend prefix of {} by {new_bits}",
            prefix.length
        )));
    }
    let wanted = call.number(2).to_i128().and_then(|number| u128::try_from(number).ok());
    let fits =
        wanted.filter(|number| 1u128.checked_shl(new_bits).is_none_or(|size| *number < size));
    let Some(number) = fits else {
        return Err(Problem::Whole(format!(
            "prefix extension of {new_bits} does not accommodate a subnet numbered {}",
            call.number(2)
        )));
    };
    let shifted = number.checked_shl(prefix.bits - length).unwrap_or(0);
    made(Prefix { base: prefix.base | shifted, length, ..prefix }.text())
}

fn subnets(call: &Call<'_>) -> Outcome {
    let prefix = Prefix::parse(call.text(0))?;
    let mut out = Vec::new();
    // The next free address, relative to the prefix; none when the space is used up.
    let mut next: Option<u128> = Some(0);
    for index in 1..call.arguments.len() {
        let refuse = |why: String| Err(Problem::Argument(index, why));
        let new_bits = match u32::try_from(call.whole(index)?) {
            Ok(new_bits) if new_bits > 0 => new_bits,
            _ => return refuse("must extend prefix by at least one bit".to_owned()),
        };
        let length = prefix.length.saturating_add(new_bits);
        if length > prefix.bits {
            let version = if prefix.bits == 32 { 4 } else { 6 };
            return refuse(format!(
                "would extend prefix to {length} bits, which is too long for an IPv{version} address"
            ));
        }
        let room = prefix.bits - length;
        let step = 1u128.checked_shl(room).unwrap_or(0);
        let aligned = next.and_then(|next| Some(next.checked_add(step - 1)? & !(step - 1)));
        let fits = aligned.filter(|at| {
            prefix.room() >= 128 || *at < 1u128.checked_shl(prefix.room()).unwrap_or(0)
        });
        let Some(at) = fits else {
            return refuse(
                "not enough remaining address space for a subnet of this size".to_owned(),
            );
        };
        out.push(Value::string(Prefix { base: prefix.base | at, length, ..prefix }.text()));
        next = at.checked_add(step);
    }
    Ok(Value::list(Type::String, out)?)
}
