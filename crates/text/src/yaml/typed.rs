//! Deserialises the tree into Rust types with serde, so that each error has the place of its value.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, Visitor};

use super::{Entry, Value, Yaml};
use crate::source::{Problem, Span, nearest};

/// Deserialises a type. Texts accept numbers and booleans as written (`0644`); unknown fields are
/// errors if the type says `deny_unknown_fields`.
pub fn typed<T: DeserializeOwned>(yaml: &Yaml) -> Result<T, Problem> {
    T::deserialize(At(yaml)).map_err(|error| error.problem(yaml))
}

#[derive(Debug)]
struct Error {
    code: &'static str,
    message: String,
    span: Option<Span>,
    hint: Option<String>,
}

impl Error {
    /// The innermost place is kept.
    fn at(mut self, span: &Span) -> Error {
        self.span.get_or_insert_with(|| span.clone());
        self
    }

    fn problem(self, yaml: &Yaml) -> Problem {
        let span = self.span.unwrap_or_else(|| yaml.span.clone());
        let problem = Problem::error(self.code, span, self.message);
        match self.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Error {
        Error {
            code: "wrong-type",
            message: message.to_string(),
            span: None,
            hint: None,
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Error {
        Error {
            code: "unknown-key",
            message: format!("unknown key `{field}`"),
            span: None,
            hint: did_you_mean(field, expected),
        }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Error {
        let known: Vec<_> = expected.iter().map(|name| format!("`{name}`")).collect();
        Error {
            code: "wrong-type",
            message: format!("expected one of {}, found `{variant}`", known.join(", ")),
            span: None,
            hint: did_you_mean(variant, expected),
        }
    }

    fn missing_field(field: &'static str) -> Error {
        Error {
            code: "missing-key",
            message: format!("`{field}` is missing"),
            span: None,
            hint: None,
        }
    }
}

fn did_you_mean(written: &str, known: &[&str]) -> Option<String> {
    let near = nearest(written, known.iter().copied())?;
    Some(format!("did you mean `{near}`?"))
}

/// A value for serde.
#[derive(Clone, Copy)]
struct At<'a>(&'a Yaml);

impl At<'_> {
    fn mismatch(self, expected: &dyn de::Expected) -> Error {
        let problem = self.0.mismatch(&expected.to_string());
        Error {
            code: problem.code,
            message: problem.message,
            span: problem.span,
            hint: None,
        }
    }
}

impl<'de> de::Deserializer<'de> for At<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let expected = (&visitor as &dyn de::Expected).to_string();
        let span = &self.0.span;
        let result = match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(number, _) => visitor.visit_i64(*number),
            Value::Float(number, _) => visitor.visit_f64(*number),
            Value::Str(text) => visitor.visit_str(text),
            Value::Seq(values) => visitor.visit_seq(Items(values.iter())),
            Value::Map(map) => visitor.visit_map(Entries {
                entries: map.iter(),
                value: None,
            }),
        };
        // serde's message about a wrong type has neither our words nor the text.
        result.map_err(|error| {
            if error.span.is_none() && error.message.starts_with("invalid type: ") {
                return self.mismatch(&expected.as_str());
            }
            error.at(span)
        })
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.text().filter(|_| !self.0.is_null()) {
            Some(text) => visitor
                .visit_str(text)
                .map_err(|error: Error| error.at(&self.0.span)),
            None => Err(self.mismatch(&"text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let variant = match &self.0.value {
            Value::Str(name) => Variant {
                name,
                key: &self.0.span,
                content: None,
            },
            Value::Map(map) => match map.iter().next().filter(|_| map.len() == 1) {
                Some((name, Entry { key, value })) => Variant {
                    name,
                    key,
                    content: Some(value),
                },
                None => return Err(self.mismatch(&visitor)),
            },
            _ => return Err(self.mismatch(&visitor)),
        };
        visitor
            .visit_enum(variant)
            .map_err(|error| error.at(&self.0.span))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'a>(std::slice::Iter<'a, Yaml>);

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.0
            .next()
            .map(|value| seed.deserialize(At(value)))
            .transpose()
    }
}

struct Entries<'a> {
    entries: indexmap::map::Iter<'a, String, Entry>,
    value: Option<&'a Yaml>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((name, entry)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(&entry.value);
        let key: StrDeserializer<'_, Error> = name.as_str().into_deserializer();
        seed.deserialize(key)
            .map(Some)
            .map_err(|error| error.at(&entry.key))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(At(value)),
            None => Err(de::Error::custom("a value without a key")),
        }
    }
}

/// `name`, or `{name: content}`.
struct Variant<'a> {
    name: &'a str,
    key: &'a Span,
    content: Option<&'a Yaml>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Variant<'de>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        let value = seed.deserialize(name).map_err(|error| error.at(self.key))?;
        Ok((value, self))
    }
}

impl<'de> Variant<'de> {
    fn content(&self) -> Result<At<'de>, Error> {
        let missing = || Error {
            code: "wrong-type",
            message: format!("`{}` needs a value", self.name),
            span: Some(self.key.clone()),
            hint: None,
        };
        self.content.map(At).ok_or_else(missing)
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            None => Ok(()),
            Some(content) => Err(At(content).mismatch(&"nothing")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_any(self.content()?, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_any(self.content()?, visitor)
    }
}
