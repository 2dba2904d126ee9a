//! Trains on the embedded MNIST, saves the model, and has it say what the first test images show.
//!
//! `cargo run --release --package lagrange --example train_and_predict`

use lagrange::{Cluster, Dataset, Images, Model, Sources, Split};
use std::error::Error;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let data = Arc::new(Dataset::load(None)?);
    let config = Sources::default()
        .preset("digits-fast")
        .set("train-limit=5000")?
        .resolve()?;
    let run = Cluster::in_process(2).train_blocking(config, Arc::clone(&data))?;

    let path = std::env::temp_dir().join("digits.safetensors");
    run.model.save(&path)?;
    let model = Model::load(&path)?;
    std::fs::remove_file(&path)?;

    let confusion = model.evaluate(&data, Split::Test, 0)?;
    let accuracy = confusion.accuracy().ok_or("no test images")?;
    let test = &data.test;
    let few = Images {
        pixels: test.images.pixels[..5 * test.images.shape().len()].to_vec(),
        ..test.images
    };
    let names = model.question.names();
    let said = model.predict(&few)?;
    let said: Vec<_> = said
        .iter()
        .map(|class| class.map(|class| names[class].as_str()))
        .collect();
    say(&format!(
        "accuracy {:.2} %, the first images are {said:?}",
        100.0 * accuracy
    ));
    assert!(accuracy > 0.95);
    Ok(())
}

/// Prints a line, whether anybody reads it or not.
fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}
