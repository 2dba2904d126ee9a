//! Arrays of numpy: `.npz` archives, and `.npy` files side by side.

mod convert;
mod npy;
mod roles;
#[cfg(test)]
mod tests;

use self::npy::Array;
use self::roles::{Kind, Role};
use crate::format::Reader;
use crate::found::{Block, Found};
use crate::names::{shown, tidy};
use crate::place::{Place, contents, has_extension};
use crate::{Format, ImportError, Options};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

pub(crate) struct Npz;
pub(crate) struct Npy;

impl Reader for Npz {
    fn format(&self) -> Format {
        Format::Npz
    }

    fn fits(&self, place: &Place) -> bool {
        !place.with_extension("npz").is_empty()
    }

    fn read(&self, place: &Place, options: &Options) -> Result<Found, ImportError> {
        let [path] = *place.with_extension("npz").as_slice() else {
            return Err(ImportError::malformed(
                shown(&place.path),
                "several .npz files are there; give the path of one",
            ));
        };
        let file = File::open(path).map_err(|cause| ImportError::unreadable(path, cause))?;
        let arrays = unzip(BufReader::new(file), &shown(path))?;
        sets(&shown(path), arrays, options)
    }
}

impl Reader for Npy {
    fn format(&self) -> Format {
        Format::Npy
    }

    fn fits(&self, place: &Place) -> bool {
        let files = place.with_extension("npy");
        let of_kind = |kind| {
            files
                .iter()
                .any(|path| role(path).is_some_and(|role| role.kind == kind))
        };
        place.is_folder && of_kind(Kind::Images) && of_kind(Kind::Labels)
    }

    fn read(&self, place: &Place, options: &Options) -> Result<Found, ImportError> {
        let files = place.with_extension("npy");
        let known = files
            .into_iter()
            .filter_map(|path| Some((role(path)?, path)));
        let arrays = known.map(|(role, path)| {
            let array = npy::parse(contents(path)?, &shown(path))?;
            Ok((role, array))
        });
        sets(
            &shown(&place.path),
            arrays.collect::<Result<_, _>>()?,
            options,
        )
    }
}

/// The images of a file, whatever labels are beside them: of an archive those of all splits, of a single
/// array itself.
pub(crate) fn images(path: &Path) -> Result<Vec<Block>, ImportError> {
    let name = shown(path);
    let arrays = if has_extension(path, "npy") {
        vec![npy::parse(contents(path)?, &name)?]
    } else {
        let file = File::open(path).map_err(|cause| ImportError::unreadable(path, cause))?;
        let arrays = unzip(BufReader::new(file), &name)?.into_iter();
        let images = arrays.filter(|(role, _)| role.kind == Kind::Images);
        images.map(|(_, array)| array).collect()
    };
    if arrays.is_empty() {
        return Err(ImportError::malformed(name, "no array of images is in it"));
    }
    let scale = convert::scale(arrays.iter())?;
    let blocks = arrays.into_iter();
    let blocks = blocks.map(|array| Ok(convert::block(array, scale, None)?.block));
    blocks.collect()
}

fn role(path: &Path) -> Option<Role> {
    Role::of(&path.file_stem()?.to_string_lossy())
}

/// The arrays of an archive whose names say what they are.
fn unzip(file: impl Read + Seek, name: &str) -> Result<Vec<(Role, Array)>, ImportError> {
    let malformed = |fault: String| ImportError::malformed(name, tidy(&fault));
    let mut archive = zip::ZipArchive::new(file).map_err(|e| malformed(e.to_string()))?;
    let mut arrays = Vec::new();
    let mut others = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive
            .by_index(index)
            .map_err(|e| malformed(e.to_string()))?;
        let file = member.name().map_err(|e| malformed(e.to_string()))?;
        let key = tidy(file.trim_end_matches(".npy"));
        let Some(role) = Role::of(&key) else {
            others.push(key);
            continue;
        };
        let title = format!("{name}, array {key}");
        let array = npy::read(&mut member, &title)?;
        arrays.push((role, array));
    }
    match arrays.is_empty() {
        true => Err(malformed(format!(
            "no array is called x_train and y_train, or x and y; there: {}",
            others.join(", ")
        ))),
        false => Ok(arrays),
    }
}

/// Pairs images with labels and converts them.
fn sets(name: &str, arrays: Vec<(Role, Array)>, options: &Options) -> Result<Found, ImportError> {
    let mut pairs: BTreeMap<_, [Option<Array>; 2]> = BTreeMap::new();
    for (role, array) in arrays {
        let pair = pairs.entry(role.split).or_default();
        let of_kind = &mut pair[role.kind as usize];
        if of_kind.is_some() {
            let fault = format!("two arrays hold the {role}");
            return Err(ImportError::malformed(name, fault));
        }
        *of_kind = Some(array);
    }
    if pairs.len() > 1 && pairs.contains_key(&None) {
        let fault = "some arrays name their split and some do not; name all, as in x_train";
        return Err(ImportError::malformed(name, fault));
    }
    let mut images = Vec::new();
    for (split, pair) in pairs {
        let missing = |kind| {
            let fault = format!("the {} are missing", Role { split, kind });
            ImportError::malformed(name, fault)
        };
        let [pictures, labels] = pair;
        let pictures = pictures.ok_or_else(|| missing(Kind::Images))?;
        let labels = labels.ok_or_else(|| missing(Kind::Labels))?;
        images.push((split.unwrap_or(crate::Split::Train), pictures, labels));
    }
    let scale = convert::scale(images.iter().map(|(_, pictures, _)| pictures))?;
    let mut found = Found::default();
    for (split, pictures, labels) in images {
        let names = convert::labels(&labels)?;
        let block = convert::block(pictures, scale, options.layout)?;
        let count = block.count;
        if count != names.len() {
            return Err(ImportError::malformed(
                name,
                format!("{split}: {count} images but {} labels", names.len()),
            ));
        }
        found.add_block(split, block.block, &names);
    }
    Ok(found)
}
