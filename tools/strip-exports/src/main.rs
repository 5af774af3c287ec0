//! `strip-exports IN.wasm OUT.wasm EXPORT...`: keeps only these exports, and what they reach.
//!
//! Every `proxy_on_*` function that the SDK exports is a call that Envoy makes, whether or not the filter
//! does anything in it.

use std::collections::BTreeSet;
use std::error::Error;
use std::{env, fs};

use walrus::ModuleConfig;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [input, output, keep @ ..] = arguments.as_slice() else {
        return Err("usage: strip-exports IN.wasm OUT.wasm EXPORT...".into());
    };
    let stripped = strip(&fs::read(input)?, keep)?;
    // Renamed, as an Envoy may start meanwhile.
    let new = format!("{output}.new");
    fs::write(&new, stripped)?;
    Ok(fs::rename(new, output)?)
}

fn strip(wasm: &[u8], keep: &[String]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut module = ModuleConfig::new()
        .generate_name_section(false)
        .generate_producers_section(false)
        .parse(wasm)?;
    let mut missing: BTreeSet<_> = keep.iter().map(String::as_str).collect();
    let exports: Vec<_> = module.exports.iter().map(|e| (e.id(), e.name.clone())).collect();
    for (id, name) in exports {
        if !missing.remove(name.as_str()) {
            module.exports.delete(id);
        }
    }
    if !missing.is_empty() {
        return Err(format!("no such exports: {missing:?}").into());
    }
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

#[cfg(test)]
mod tests {
    use super::*;
    use walrus::{FunctionBuilder, Module, ValType};

    /// Exports `used`, which calls a function of its own, and `unused`.
    fn sample() -> Vec<u8> {
        let mut module = Module::default();
        let function = |module: &mut Module, result| {
            let mut builder = FunctionBuilder::new(&mut module.types, &[], &[ValType::I32]);
            builder.func_body().i32_const(result);
            builder.finish(vec![], &mut module.funcs)
        };
        let (helper, unused) = (function(&mut module, 1), function(&mut module, 2));
        let mut used = FunctionBuilder::new(&mut module.types, &[], &[ValType::I32]);
        used.func_body().call(helper);
        let used = used.finish(vec![], &mut module.funcs);
        module.exports.add("used", used);
        module.exports.add("unused", unused);
        module.emit_wasm()
    }

    #[test]
    fn keeps_an_export_and_what_it_reaches() {
        let stripped = strip(&sample(), &["used".to_owned()]).unwrap();
        let stripped = Module::from_buffer(&stripped).unwrap();
        assert_eq!(Vec::from_iter(stripped.exports.iter().map(|e| &e.name)), ["used"]);
        assert_eq!(stripped.funcs.iter().count(), 2);
    }

    /// Without a callback that it needs, a filter would let requests through.
    #[test]
    fn a_missing_export_is_an_error() {
        let keep = ["used", "proxy_on_tick"].map(str::to_owned);
        let error = strip(&sample(), &keep).unwrap_err().to_string();
        assert_eq!(error, "no such exports: {\"proxy_on_tick\"}");
    }
}
