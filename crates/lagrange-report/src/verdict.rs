//! What the run's model makes of a test set.

use crate::ReportError;
use lagrange::{Confusion, LabelledSet, Model, Picture};

/// A wrong prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Mistake {
    /// Number of the image in the test set.
    pub image: usize,
    /// Its class.
    pub truth: String,
    /// What the model took it for.
    pub prediction: String,
    /// How sure the model was, from 0 to 1: see [`Model::probabilities`].
    pub probability: f32,
    /// The image.
    pub picture: Picture,
}

/// Predictions of a test set beside the truth.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Counts of every pair.
    pub confusion: Confusion,
    /// Mistakes that the model was most sure of, the worst first.
    pub mistakes: Vec<Mistake>,
}

impl Verdict {
    /// Has `model` predict `test`, whose labels are indices into `classes`; keeps at most `count` mistakes.
    ///
    /// # Errors
    /// [`ReportError::Model`] if the model is for other images or classes.
    pub fn of(
        model: &Model,
        classes: &[String],
        test: &LabelledSet,
        count: usize,
    ) -> Result<Self, ReportError> {
        let truths = model.question.classes_of(classes);
        let truths = truths.map_err(lagrange::ModelError::from)?;
        let classes = model.question.names().to_vec();
        let images = &test.images;
        let scores = model.scores(images)?;
        let outputs = scores.chunks_exact(model.network.outputs());
        let mut wrong: Vec<(usize, usize, usize, f32)> = Vec::new();
        let mut pairs = Vec::with_capacity(test.labels.len());
        for (image, (outputs, &label)) in outputs.zip(&test.labels).enumerate() {
            let truth = truths[usize::from(label)];
            let prediction = model.question.predict(outputs);
            pairs.push((truth, prediction));
            if let Some(said) = prediction.filter(|&said| said != truth) {
                wrong.push((image, truth, said, model.probabilities(outputs)[said]));
            }
        }
        wrong.sort_by(|a, b| b.3.total_cmp(&a.3).then(a.0.cmp(&b.0)));
        wrong.truncate(count);
        let mistake = |(image, truth, said, probability): (usize, usize, usize, f32)| Mistake {
            image,
            truth: classes[truth].clone(),
            prediction: classes[said].clone(),
            probability,
            picture: Picture {
                height: images.height,
                width: images.width,
                channels: images.channels,
                pixels: images.image(image).to_vec(),
            },
        };
        let mistakes = wrong.into_iter().map(mistake).collect();
        Ok(Self {
            confusion: Confusion::of(classes.len(), pairs.into_iter()),
            mistakes,
            classes,
        })
    }
}
