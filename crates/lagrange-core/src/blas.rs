//! The few BLAS calls `ndarray` has no safe name for.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};

use ndarray::{ArrayView2, ArrayViewMut2};

unsafe extern "C" {
    fn openblas_set_num_threads(threads: c_int);
    fn openblas_get_corename() -> *const c_char;
}

/// Makes every BLAS call of this process run on the calling thread alone.
///
/// Parallelism is over shards; a BLAS that also starts threads would oversubscribe the machine, and its results
/// would depend on their number. Call it once, before any mathematics.
pub fn use_one_thread() {
    // SAFETY: OpenBLAS allows this call at any time; it takes the thread count by value.
    unsafe { openblas_set_num_threads(1) }
}

/// The name of the kernels that OpenBLAS chose for this processor when it was loaded, for example `Haswell`.
#[must_use]
pub fn kernels() -> String {
    // SAFETY: OpenBLAS returns a pointer to a static, NUL-terminated string.
    let name = unsafe { CStr::from_ptr(openblas_get_corename()) };
    name.to_string_lossy().into_owned()
}

/// The kernels to ask OpenBLAS for, by the environment variable `OPENBLAS_CORETYPE`, before it is loaded: those that every x86-64
/// with AVX2 and FMA can run.
///
/// Left to itself it chooses by processor, and other kernels add in another order: two machines, or a machine and a virtual one on
/// it, would then end the same run with other bits. It also falls back to kernels some five times slower on processors newer than
/// itself. `None` where these are chosen already, and on processors that cannot run them.
#[must_use]
pub fn portable_kernels() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        const PORTABLE: &str = "Haswell";
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && !kernels().eq_ignore_ascii_case(PORTABLE)
        {
            return Some(PORTABLE);
        }
    }
    None
}

/// Lower triangle of `gram = rows' rows` (SYRK): half the work of a product.
///
/// `rows` is `[n, d]`, `gram` `[d, d]`, both contiguous; the strict upper triangle of `gram` is left as it was.
///
/// # Panics
/// If the shapes do not match or a matrix is not contiguous and row-major.
pub fn gram_lower(rows: ArrayView2<'_, f32>, gram: &mut ArrayViewMut2<'_, f32>) {
    syrk(rows, 0.0, gram);
}

/// As [`gram_lower`], added to what `gram` holds.
///
/// # Panics
/// As [`gram_lower`].
pub fn add_gram_lower(rows: ArrayView2<'_, f32>, gram: &mut ArrayViewMut2<'_, f32>) {
    syrk(rows, 1.0, gram);
}

fn syrk(rows: ArrayView2<'_, f32>, kept: f32, gram: &mut ArrayViewMut2<'_, f32>) {
    let (n, d) = rows.dim();
    assert_eq!(gram.dim(), (d, d), "Gram matrix of {d} unknowns");
    let rows = rows
        .as_slice()
        .unwrap_or_else(|| unreachable!("contiguous rows"));
    let gram = gram
        .as_slice_mut()
        .unwrap_or_else(|| unreachable!("contiguous Gram"));
    let int = |value: usize| {
        i32::try_from(value)
            .unwrap_or_else(|_| panic!("dimension {value} exceeds what BLAS can address"))
    };
    // SAFETY: `rows` holds n x d and `gram` d x d values, row-major with leading dimension d (asserted above);
    // both slices outlive the call and the exclusive borrow of `gram` rules out overlap.
    unsafe {
        cblas_sys::cblas_ssyrk(
            cblas_sys::CBLAS_LAYOUT::CblasRowMajor,
            cblas_sys::CBLAS_UPLO::CblasLower,
            cblas_sys::CBLAS_TRANSPOSE::CblasTrans,
            int(d),
            int(n),
            1.0,
            rows.as_ptr(),
            int(d),
            kept,
            gram.as_mut_ptr(),
            int(d),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn the_gram_is_the_lower_triangle_of_the_product() {
        let rows = Array2::from_shape_fn((7, 5), |(i, j)| (i * 5 + j) as f32 % 7.0 - 3.0);
        let product = rows.t().dot(&rows);
        let mut gram = Array2::from_elem((5, 5), f32::NAN);
        gram_lower(rows.view(), &mut gram.view_mut());
        for i in 0..5 {
            for j in 0..=i {
                assert_eq!(gram[[i, j]], product[[i, j]]);
            }
        }
    }
}
