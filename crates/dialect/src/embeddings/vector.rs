//! One vector.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::media::decode_base64;

/// The numbers of one embedding. Models compute with 32 bits or fewer, and base64 carries 32.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vector(pub Vec<f32>);

impl Vector {
    /// Reads base64 of little-endian 32-bit floats.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = decode_base64(text)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        rest.is_empty()
            .then(|| Self(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
    }

    /// Base64 of little-endian 32-bit floats.
    pub fn to_base64(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().flat_map(|number| number.to_le_bytes()).collect();
        STANDARD.encode(bytes)
    }

    /// Gives the vector the length one, unless it is zero.
    pub fn normalise(&mut self) {
        let length = self
            .0
            .iter()
            .map(|number| f64::from(*number).powi(2))
            .sum::<f64>()
            .sqrt();
        if length > 0.0 && length.is_finite() {
            for number in &mut self.0 {
                #[expect(clippy::cast_possible_truncation, reason = "the quotient is at most one")]
                let scaled = (f64::from(*number) / length) as f32;
                *number = scaled;
            }
        }
    }
}

/// A list of numbers, or base64. Read without a tree in between: answers have millions of numbers.
impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Numbers)
    }
}

struct Numbers;

impl<'de> Visitor<'de> for Numbers {
    type Value = Vector;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of numbers or base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vector, E> {
        Vector::from_base64(text).ok_or_else(|| E::custom("no base64 of 32-bit floats"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vector, A::Error> {
        let mut numbers = Vec::with_capacity(items.size_hint().unwrap_or(1024).min(4096));
        while let Some(number) = items.next_element()? {
            numbers.push(number);
        }
        Ok(Vector(numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_normalised_vector_has_the_length_one() {
        let mut vector = Vector(vec![3.0, 4.0]);
        vector.normalise();
        assert_eq!(vector.0, [0.6, 0.8]);
        let mut zero = Vector(vec![0.0; 2]);
        zero.normalise();
        assert_eq!(zero.0, [0.0; 2]);
    }

    #[test]
    fn base64_is_little_endian() {
        assert_eq!(Vector(vec![1.0, -2.0]).to_base64(), "AACAPwAAAMA=");
        assert_eq!(Vector::from_base64("AACAPwAAAMA"), Some(Vector(vec![1.0, -2.0])));
        assert_eq!(Vector::from_base64("AACA"), None);
        assert!(serde_json::from_str::<Vector>("\"%\"").is_err());
    }

    proptest! {
        #[test]
        fn numbers_survive_both_forms(numbers in prop::collection::vec(-1e30_f32..1e30, 0..20)) {
            let vector = Vector(numbers);
            prop_assert_eq!(Vector::from_base64(&vector.to_base64()).unwrap(), vector.clone());
            let list = serde_json::to_string(&vector.0).unwrap();
            prop_assert_eq!(serde_json::from_str::<Vector>(&list).unwrap(), vector);
        }
    }
}
