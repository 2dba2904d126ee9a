//! Reads the data set at a path, prints the report and packs it: `import SOURCE FOLDER [SIZE]`.

use lagrange_import::{Options, contact_sheet, pack, read};
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, folder, size @ ..] = arguments.as_slice() else {
        return Err("import SOURCE FOLDER [SIZE]".into());
    };
    let side = size.first().map(|side| side.parse()).transpose()?;
    let options = Options {
        size: side.map(|side| (side, side)),
        ..Options::default()
    };
    let mut out = std::io::stdout();
    let start = Instant::now();
    let (set, report) = read(Path::new(source), &options)?;
    writeln!(
        out,
        "{report}\nread in {:.1} s",
        start.elapsed().as_secs_f64()
    )?;
    let start = Instant::now();
    let packed = pack(&set, Path::new(folder), None)?;
    writeln!(
        out,
        "{} packed in {:.1} s",
        packed.identity(),
        start.elapsed().as_secs_f64()
    )?;
    std::fs::write(
        Path::new(folder).join("sheet.png"),
        contact_sheet(&set, 10)?,
    )?;
    Ok(())
}
