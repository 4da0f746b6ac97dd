//! Types of the debugging information: what decides how a value of one is passed, and how a structure is laid out.

use gimli::{AttributeValue, constants};

use crate::describe::{Entry, Information, Place};
use crate::description::{Class, Member, Structure, Value};

/// How many types one may lead to another: typedefs, qualifiers, structures around one member.
const DEEPEST: u32 = 16;

impl Information<'_> {
    /// A type, seen through its aliases.
    pub(crate) fn value(&self, place: Place, depth: u32) -> Value {
        self.resolve(place, depth).unwrap_or_else(Value::unknown)
    }

    fn resolve(&self, place: Place, depth: u32) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        let entry = self.entry(place)?;
        let size = number(&entry, constants::DW_AT_byte_size);
        let name = || self.name(place);
        Some(match entry.tag() {
            constants::DW_TAG_base_type => base(&entry, name()?, size),
            constants::DW_TAG_enumeration_type => {
                Value::new(name().unwrap_or_else(|| "enum".to_owned()), Class::Integer, size)
            }
            constants::DW_TAG_pointer_type
            | constants::DW_TAG_reference_type
            | constants::DW_TAG_rvalue_reference_type => self.pointer(place, size, depth),
            constants::DW_TAG_typedef
            | constants::DW_TAG_const_type
            | constants::DW_TAG_volatile_type
            | constants::DW_TAG_restrict_type
            | constants::DW_TAG_atomic_type => {
                let Some(of) = self.type_of(place) else {
                    return Some(Value {
                        name: name().unwrap_or_else(|| "()".to_owned()),
                        ..Value::nothing()
                    });
                };
                let aliased = self.value(of, depth + 1);
                let name = name().filter(|_| aliased.class != Class::Unknown).unwrap_or(aliased.name);
                Value { name, ..aliased }
            }
            constants::DW_TAG_structure_type | constants::DW_TAG_class_type => {
                self.structure_value(place, size, depth)?
            }
            constants::DW_TAG_union_type => {
                Value::new(name().unwrap_or_else(|| "union".to_owned()), Class::Aggregate, size)
            }
            constants::DW_TAG_array_type => Value::new("[_]", Class::Aggregate, self.size(place, depth)),
            _ => return None,
        })
    }

    /// A pointer and the structure that it leads to, if it leads to one.
    fn pointer(&self, place: Place, size: Option<u64>, depth: u32) -> Value {
        let mut target = self.type_of(place);
        let (mut constant, mut alias) = (false, None);
        for _ in 0..DEEPEST {
            let Some((of, entry)) = target.and_then(|of| Some((of, self.entry(of)?))) else { break };
            match entry.tag() {
                constants::DW_TAG_const_type => constant = true,
                constants::DW_TAG_typedef => alias = alias.or_else(|| self.name(of)),
                constants::DW_TAG_volatile_type
                | constants::DW_TAG_restrict_type
                | constants::DW_TAG_atomic_type => {}
                _ => break,
            }
            target = self.type_of(of);
        }
        let structure = target.filter(|_| depth == 0).and_then(|of| self.structure(of, depth + 1));
        let name = self.name(place).unwrap_or_else(|| {
            let pointee =
                alias.or_else(|| target.map_or_else(|| Some("c_void".to_owned()), |of| self.name(of)));
            let kind = if constant { "const" } else { "mut" };
            format!("*{kind} {}", pointee.unwrap_or_else(|| "_".to_owned()))
        });
        // What a pointer is long is its architecture's to say, where the object does not.
        Value { structure, ..Value::new(name, Class::Pointer, size.or(Some(8))) }
    }

    /// A structure as a value: around one scalar it is that scalar.
    fn structure_value(&self, place: Place, size: Option<u64>, depth: u32) -> Option<Value> {
        let name = self.name(place).unwrap_or_else(|| "struct".to_owned());
        let members = self.members(place)?;
        let mut sized = members.iter().filter(|member| self.member_size(**member, depth) != Some(0));
        let variants = !self.children(place, &[constants::DW_TAG_variant_part])?.is_empty();
        let structure = self.structure(place, depth);
        let class = match (size, variants) {
            (Some(0), _) => Class::Nothing,
            (_, true) => Class::Unknown,
            _ => Class::Aggregate,
        };
        if let (Some(only), None, false) = (sized.next(), sized.next(), variants) {
            let inner = self.value(self.type_of(*only)?, depth + 1);
            let scalar = matches!(inner.class, Class::Integer | Class::Pointer | Class::Float);
            if scalar && inner.size == size {
                return Some(Value {
                    name,
                    size,
                    class: inner.class,
                    structure: structure.filter(|_| depth == 0),
                });
            }
        }
        Some(Value { name, size, class, structure })
    }

    fn members(&self, place: Place) -> Option<Vec<Place>> {
        let children = self.children(place, &[constants::DW_TAG_member])?;
        Some(children.into_iter().map(|(_, child)| child).collect())
    }

    fn member_size(&self, member: Place, depth: u32) -> Option<u64> {
        self.size(self.type_of(member)?, depth + 1)
    }

    /// The layout of a structure; `None` for a type that is none.
    fn structure(&self, place: Place, depth: u32) -> Option<Structure> {
        let entry = self.entry(place)?;
        if !matches!(entry.tag(), constants::DW_TAG_structure_type | constants::DW_TAG_class_type) {
            return None;
        }
        let members = self.members(place)?.into_iter().filter_map(|member| {
            let offset = number(&self.entry(member)?, constants::DW_AT_data_member_location)?;
            Some(Member { name: self.name(member)?, offset, size: self.member_size(member, depth) })
        });
        Some(Structure {
            name: self.name(place)?,
            members: members.collect(),
            size: number(&entry, constants::DW_AT_byte_size),
        })
    }

    /// How large a value of a type is.
    fn size(&self, place: Place, depth: u32) -> Option<u64> {
        if depth > DEEPEST {
            return None;
        }
        let entry = self.entry(place)?;
        if let Some(size) = number(&entry, constants::DW_AT_byte_size) {
            return Some(size);
        }
        match entry.tag() {
            constants::DW_TAG_pointer_type => Some(8),
            constants::DW_TAG_array_type => {
                let mut size = self.size(self.type_of(place)?, depth + 1)?;
                for (_, range) in self.children(place, &[constants::DW_TAG_subrange_type])? {
                    let entry = self.entry(range)?;
                    let count = number(&entry, constants::DW_AT_count).or_else(|| {
                        number(&entry, constants::DW_AT_upper_bound).and_then(|last| last.checked_add(1))
                    });
                    size = size.checked_mul(count?)?;
                }
                Some(size)
            }
            constants::DW_TAG_typedef
            | constants::DW_TAG_const_type
            | constants::DW_TAG_volatile_type
            | constants::DW_TAG_restrict_type
            | constants::DW_TAG_atomic_type => self.size(self.type_of(place)?, depth + 1),
            _ => None,
        }
    }
}

fn base(entry: &Entry<'_, '_>, name: String, size: Option<u64>) -> Value {
    let encoding = match entry.attr_value(constants::DW_AT_encoding) {
        Ok(Some(AttributeValue::Encoding(encoding))) => encoding,
        _ => return Value::new(name, Class::Unknown, size),
    };
    let class = match encoding {
        _ if size == Some(0) => Class::Nothing,
        constants::DW_ATE_boolean
        | constants::DW_ATE_signed
        | constants::DW_ATE_signed_char
        | constants::DW_ATE_unsigned
        | constants::DW_ATE_unsigned_char
        | constants::DW_ATE_UTF => Class::Integer,
        constants::DW_ATE_float => Class::Float,
        constants::DW_ATE_address => Class::Pointer,
        _ => Class::Unknown,
    };
    Value::new(name, class, size)
}

fn number(entry: &Entry<'_, '_>, name: gimli::DwAt) -> Option<u64> {
    entry.attr_value(name).ok()??.udata_value()
}
