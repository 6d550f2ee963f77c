//! What a component is made of, as far as its designer and its operator want to know.

use wasmtime::component::{Component, types::ComponentItem};

const WASM_PAGE_BYTES: u64 = 64 << 10;

/// What a checked component imports, exports and needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The interfaces that it imports: all that it can do beside computing.
    pub imports: Vec<String>,
    /// The interfaces that it exports.
    pub exports: Vec<Interface>,
    /// The linear memory that each instance begins with, in bytes.
    pub memory_bytes: u64,
    /// How many tables of functions each instance has, and the elements of the largest one at its beginning.
    pub tables: u32,
    pub table_elements: u64,
}

/// An interface and its functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub functions: Vec<String>,
}

impl Inspection {
    pub(crate) fn of(component: &Component) -> Inspection {
        let (wasm, ty) = (component.engine(), component.component_type());
        let imports = ty.imports(wasm).map(|(name, _)| name.to_owned()).collect();
        let exports = ty.exports(wasm).map(|(name, item)| Interface {
            name: name.to_owned(),
            functions: match item.ty {
                ComponentItem::ComponentInstance(instance) => {
                    let items = instance.exports(wasm);
                    let functions = items.filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)));
                    functions.map(|(name, _)| name.to_owned()).collect()
                }
                _ => Vec::new(),
            },
        });
        let exports = exports.collect();
        // Every checked component tells what it needs.
        let needs = component.resources_required();
        let pages = needs.as_ref().and_then(|needs| needs.max_initial_memory_size).unwrap_or(0);
        Inspection {
            imports,
            exports,
            memory_bytes: pages * WASM_PAGE_BYTES,
            tables: needs.as_ref().map_or(0, |needs| needs.num_tables),
            table_elements: needs.and_then(|needs| needs.max_initial_table_size).unwrap_or(0),
        }
    }
}
