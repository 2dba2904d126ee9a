//! A Parquet file as the Hugging Face Hub has them.

use crate::set::{both, png};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

const SCHEMA: &str = "message schema {
    optional group image { optional binary bytes; optional binary path (UTF8); }
    optional int64 label;
}";

const DESCRIPTION: &str = r#"{"info": {"features": {
    "image": {"_type": "Image"}, "label": {"names": ["2", "0", "1"], "_type": "ClassLabel"}}}}"#;

pub fn write(folder: &Path) {
    for ((split, samples), compression) in both()
        .into_iter()
        .zip([Compression::SNAPPY, Compression::ZSTD(Default::default())])
    {
        let pictures = samples
            .iter()
            .map(|sample| ByteArray::from(png(&sample.pixels)));
        let paths = (0..samples.len()).map(|n| ByteArray::from(format!("{n}.png").into_bytes()));
        // The numbers are positions in the description's list of names.
        let labels = samples
            .iter()
            .map(|sample| (i64::from(sample.class) + 1) % 3);
        let path = folder.join(format!("data/{split}-00000-of-00001.parquet"));
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        let properties = WriterProperties::builder().set_compression(compression);
        let description = KeyValue::new("huggingface".to_owned(), DESCRIPTION.to_owned());
        let properties = properties
            .set_key_value_metadata(Some(vec![description]))
            .build();
        let schema = Arc::new(parse_message_type(SCHEMA).expect("a schema"));
        let file = File::create(path).expect("created");
        let mut writer =
            SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a file");
        let mut group = writer.next_row_group().expect("a row group");
        for column in [pictures.collect::<Vec<_>>(), paths.collect()] {
            let mut writer = group.next_column().expect("a column").expect("a column");
            let levels = vec![2; column.len()];
            let typed = writer.typed::<ByteArrayType>();
            typed
                .write_batch(&column, Some(&levels), None)
                .expect("written");
            writer.close().expect("closed");
        }
        let labels: Vec<i64> = labels.collect();
        let mut last = group.next_column().expect("a column").expect("a column");
        let levels = vec![1; labels.len()];
        let typed = last.typed::<Int64Type>();
        typed
            .write_batch(&labels, Some(&levels), None)
            .expect("written");
        last.close().expect("closed");
        group.close().expect("closed");
        writer.close().expect("closed");
    }
}

#[test]
fn a_file_that_is_cut_off_is_an_error() {
    let folder = crate::folder();
    write(folder.path());
    let path = folder.path().join("data/train-00000-of-00001.parquet");
    let whole = fs::read(&path).expect("read");
    for length in (0..whole.len()).step_by(997) {
        fs::write(&path, &whole[..length]).expect("written");
        let error = lagrange_import::read(folder.path(), &Default::default()).expect_err("cut off");
        assert!(
            error.to_string().contains("train-00000-of-00001.parquet: "),
            "{error}"
        );
    }
}

#[test]
fn a_file_with_a_changed_byte_is_read_or_an_error() {
    let folder = crate::folder();
    write(folder.path());
    let path = folder.path().join("data/train-00000-of-00001.parquet");
    let whole = fs::read(&path).expect("read");
    // The description of columns and blocks is at the end.
    for at in (whole.len() - 1200..whole.len()).step_by(3) {
        for byte in [0, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            fs::write(&path, bytes).expect("written");
            let _ = lagrange_import::read(folder.path(), &Default::default());
        }
    }
}
