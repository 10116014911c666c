//! ◆ Hashes, identifiers and secrets. Randomness comes from the host.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use num_bigint::BigUint;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use uuid::Uuid;

use super::{Call, Function, Outcome, Problem, fixed, made, number, open, text};

pub(super) const FUNCTIONS: &[Function] = &[
    open("bcrypt", &[text("str")], number("cost"), bcrypt).costs(|call| {
        let doublings = call.number(1).to_usize().unwrap_or(10).clamp(10, 16);
        16 << doublings
    }),
    fixed("md5", &[text("str")], |call| made(hex(&Md5::digest(call.text(0))))),
    fixed("rsadecrypt", &[text("ciphertext"), text("privatekey")], rsa_decrypt).costs(|_| 100_000),
    fixed("sha1", &[text("str")], |call| made(hex(&Sha1::digest(call.text(0))))),
    fixed("sha256", &[text("str")], |call| made(hex(&Sha256::digest(call.text(0))))),
    fixed("sha512", &[text("str")], |call| made(hex(&Sha512::digest(call.text(0))))),
    fixed("uuidv4", &[], |call| {
        let bytes = call.host.random();
        made(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
    }),
    fixed("uuidv5", &[text("namespace"), text("name")], uuid_v5),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

fn digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or('0')
}

/// Cost above which a hash takes longer than anybody waits for a job file.
const MAX_COST: i64 = 16;

fn bcrypt(call: &Call<'_>) -> Outcome {
    let cost = match call.arguments.len() {
        1 => 10,
        2 => call.whole(1)?,
        _ => return Err(Problem::whole("bcrypt() takes no more than two arguments")),
    };
    // Go: costs below the least one mean the usual one.
    let cost = if cost < 4 { 10 } else { cost };
    let allowed = u32::try_from(cost).ok().filter(|_| cost <= MAX_COST).ok_or_else(|| {
        Problem::Whole(format!("cost {cost} is outside the allowed range of 4 to {MAX_COST}"))
    })?;
    let hash = bcrypt::hash_with_salt(call.text(0), allowed, call.host.random())
        .map_err(|error| Problem::Whole(error.to_string()))?;
    made(hash.format_for_version(bcrypt::Version::TwoA))
}

fn uuid_v5(call: &Call<'_>) -> Outcome {
    let namespace = match call.text(0) {
        "dns" => Uuid::NAMESPACE_DNS,
        "url" => Uuid::NAMESPACE_URL,
        "oid" => Uuid::NAMESPACE_OID,
        "x500" => Uuid::NAMESPACE_X500,
        other => Uuid::parse_str(other).map_err(|error| {
            Problem::Whole(format!("uuidv5() doesn't support namespace {other} ({error})"))
        })?,
    };
    made(Uuid::new_v5(&namespace, call.text(1).as_bytes()).to_string())
}

fn rsa_decrypt(call: &Call<'_>) -> Outcome {
    let secret = STANDARD.decode(call.text(0)).map_err(|_| {
        let given = call.text(0);
        Problem::Whole(format!(
            "failed to decode input {given:?}: cipher text must be base64-encoded"
        ))
    })?;
    let key = rsa_key(call.text(1))
        .ok_or_else(|| Problem::whole("failed to parse key: no RSA private key found"))?;
    let plain = key
        .decrypt(&secret)
        .ok_or_else(|| Problem::whole("failed to decrypt: wrong key or text"))?;
    let text =
        String::from_utf8(plain).map_err(|_| Problem::whole("the result is not valid UTF-8"))?;
    made(text)
}

struct RsaKey {
    modulus: BigUint,
    exponent: BigUint,
}

impl RsaKey {
    /// Undoes PKCS #1 v1.5: 0, 2, at least eight random bytes, 0, the text.
    fn decrypt(&self, secret: &[u8]) -> Option<Vec<u8>> {
        let length = usize::try_from(self.modulus.bits().div_ceil(8)).ok()?;
        let secret = BigUint::from_bytes_be(secret);
        if secret >= self.modulus {
            return None;
        }
        let bytes = secret.modpow(&self.exponent, &self.modulus).to_bytes_be();
        // The leading zero is lost in the number.
        if bytes.len() + 1 != length || bytes.first() != Some(&2) {
            return None;
        }
        let end = bytes.iter().position(|byte| *byte == 0).filter(|end| *end > 8)?;
        Some(bytes[end + 1..].to_vec())
    }
}

/// The key of a PEM text, in PKCS #1 or PKCS #8.
fn rsa_key(pem: &str) -> Option<RsaKey> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (kind, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let packed: String = body.split_whitespace().collect();
    let der = STANDARD.decode(packed).ok()?;
    let (tag, content, _) = element(&der)?;
    let inner = match kind {
        _ if tag != SEQUENCE => return None,
        "RSA PRIVATE KEY" => content,
        "PRIVATE KEY" => {
            // version, algorithm, then the PKCS #1 key in an octet string
            let (_, _, rest) = element(content)?;
            let (_, _, rest) = element(rest)?;
            let (_, octets, _) = element(rest)?;
            element(octets)?.1
        }
        _ => return None,
    };
    let (_, _version, rest) = element(inner)?;
    let (_, modulus, rest) = element(rest)?;
    let (_, _public, rest) = element(rest)?;
    let (_, exponent, _) = element(rest)?;
    let key = RsaKey {
        modulus: BigUint::from_bytes_be(modulus),
        exponent: BigUint::from_bytes_be(exponent),
    };
    let bits = key.modulus.bits();
    (512..=8192).contains(&bits).then_some(key).filter(|key| key.modulus.bit(0))
}

const SEQUENCE: u8 = 0x30;

/// A DER element: tag, content, what follows.
type Element<'d> = (u8, &'d [u8], &'d [u8]);

fn element(der: &[u8]) -> Option<Element<'_>> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count > 4 || count > rest.len() {
            return None;
        }
        let (bytes, rest) = rest.split_at(count);
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    if length > rest.len() {
        return None;
    }
    let (content, after) = rest.split_at(length);
    Some((*tag, content, after))
}
