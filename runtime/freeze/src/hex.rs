//! Numbers and bytes in `state.json` as people read them: addresses and masks as `"0x7f00"`, bytes as hexadecimal digits.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An address, a mask, a register, a checksum.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hex(pub u64);

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Hex;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number as \"0x7f00\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Hex, E> {
                let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'));
                let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
                number.map(Hex).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Bytes that only the kernel understands.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        let text: String = self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes as hexadecimal digits")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
                let nibble = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
                let byte = |pair: &[u8]| match pair {
                    [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
                    _ => None,
                };
                let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
                bytes.map(Bytes).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let numbers = [Hex(0), Hex(0x7fff_ffff_f000), Hex(u64::MAX)];
        let text = serde_json::to_string(&numbers).unwrap();
        assert_eq!(text, r#"["0x0","0x7ffffffff000","0xffffffffffffffff"]"#);
        assert_eq!(serde_json::from_str::<[Hex; 3]>(&text).unwrap(), numbers);
        let bytes = Bytes(vec![0, 0x1f, 0xff]);
        assert_eq!(serde_json::to_string(&bytes).unwrap(), r#""001fff""#);
        assert_eq!(serde_json::from_str::<Bytes>(r#""001fff""#).unwrap(), bytes);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [r#""12""#, r#""0x""#, r#""0x+1""#, r#""0x11112222333344445""#, "12"] {
            assert!(serde_json::from_str::<Hex>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Bytes>(r#""123""#).is_err());
        assert!(serde_json::from_str::<Bytes>(r#""1g""#).is_err());
    }
}
