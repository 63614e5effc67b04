#ifndef FLASH_LLM_CUDA_LIBRARIES_H
#define FLASH_LLM_CUDA_LIBRARIES_H

// The part of cuBLAS and cuSPARSE that long prompts and benchmarks use: our own declarations of their ABI, and tables
// of function pointers, as in cuda_driver.h. Nothing may need them.
// Source: cuBLAS and cuSPARSE reference, 12.0 to 13.0.

#include "cuda_driver.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct flash_cublas_handle *cublasHandle_t;
typedef struct flash_cusparse_handle *cusparseHandle_t;
typedef struct flash_cusparse_sparse *cusparseSpMatDescr_t;
typedef struct flash_cusparse_dense *cusparseDnMatDescr_t;

// X(name, arguments); each returns 0 for success. Enums of the API are `int`, see below for values.
#define FLASH_CUBLAS_FUNCTIONS(X)                                                                                   \
    X(cublasCreate_v2, (cublasHandle_t *handle))                                                                    \
    X(cublasDestroy_v2, (cublasHandle_t handle))                                                                    \
    X(cublasSetStream_v2, (cublasHandle_t handle, CUstream stream))                                                 \
    X(cublasSetWorkspace_v2, (cublasHandle_t handle, void *workspace, size_t bytes))                                \
    X(cublasGemmEx,                                                                                                 \
      (cublasHandle_t handle, int transpose_a, int transpose_b, int m, int n, int k, const void *alpha,             \
       const void *a, int a_type, int a_stride, const void *b, int b_type, int b_stride, const void *beta, void *c, \
       int c_type, int c_stride, int compute_type, int algorithm))

#define FLASH_CUSPARSE_FUNCTIONS(X)                                                                                 \
    X(cusparseCreate, (cusparseHandle_t *handle))                                                                   \
    X(cusparseDestroy, (cusparseHandle_t handle))                                                                   \
    X(cusparseSetStream, (cusparseHandle_t handle, CUstream stream))                                                \
    X(cusparseCreateCsr,                                                                                            \
      (cusparseSpMatDescr_t *matrix, long long rows, long long columns, long long nonzeros, void *row_offsets,      \
       void *column_indices, void *values, int offset_type, int index_type, int index_base, int value_type))        \
    X(cusparseDestroySpMat, (cusparseSpMatDescr_t matrix))                                                          \
    X(cusparseCreateDnMat, (cusparseDnMatDescr_t *matrix, long long rows, long long columns, long long stride,      \
                            void *values, int value_type, int order))                                               \
    X(cusparseDestroyDnMat, (cusparseDnMatDescr_t matrix))                                                          \
    X(cusparseSpMM_bufferSize,                                                                                      \
      (cusparseHandle_t handle, int operation_a, int operation_b, const void *alpha, cusparseSpMatDescr_t a,        \
       cusparseDnMatDescr_t b, const void *beta, cusparseDnMatDescr_t c, int compute_type, int algorithm,           \
       size_t *bytes))                                                                                              \
    X(cusparseSpMM_preprocess,                                                                                      \
      (cusparseHandle_t handle, int operation_a, int operation_b, const void *alpha, cusparseSpMatDescr_t a,        \
       cusparseDnMatDescr_t b, const void *beta, cusparseDnMatDescr_t c, int compute_type, int algorithm,           \
       void *buffer))                                                                                               \
    X(cusparseSpMM,                                                                                                 \
      (cusparseHandle_t handle, int operation_a, int operation_b, const void *alpha, cusparseSpMatDescr_t a,        \
       cusparseDnMatDescr_t b, const void *beta, cusparseDnMatDescr_t c, int compute_type, int algorithm,           \
       void *buffer))

#define FLASH_CUDA_FIELD(name, arguments) int(*name) arguments;
struct flash_cublas {
    FLASH_CUBLAS_FUNCTIONS(FLASH_CUDA_FIELD)
    const char *(*cublasGetStatusString)(int status);
};

struct flash_cusparse {
    FLASH_CUSPARSE_FUNCTIONS(FLASH_CUDA_FIELD)
    const char *(*cusparseGetErrorString)(int status);
};
#undef FLASH_CUDA_FIELD

enum {
    // cudaDataType, of both libraries.
    FLASH_CUDA_TYPE_F32 = 0,
    FLASH_CUDA_TYPE_F16 = 2,
    FLASH_CUDA_TYPE_BF16 = 14,
    FLASH_CUBLAS_NOT_TRANSPOSED = 0,
    FLASH_CUBLAS_TRANSPOSED = 1,
    FLASH_CUBLAS_COMPUTE_F32 = 68,
    FLASH_CUBLAS_ALGORITHM_DEFAULT = -1,
    FLASH_CUSPARSE_NOT_TRANSPOSED = 0,
    FLASH_CUSPARSE_TRANSPOSED = 1,
    FLASH_CUSPARSE_INDEX_I32 = 2,
    FLASH_CUSPARSE_BASE_ZERO = 0,
    FLASH_CUSPARSE_COLUMNS_FIRST = 1,
    FLASH_CUSPARSE_ROWS_FIRST = 2,
    FLASH_CUSPARSE_ALGORITHM_DEFAULT = 0
};

// Fill a table from the library at `path`, or, where null, from the usual places, as flash_cuda_load_nvrtc does.
const char *flash_cuda_load_cublas(struct flash_cublas *cublas, const char *path, int first_major);
const char *flash_cuda_load_cusparse(struct flash_cusparse *cusparse, const char *path);

#ifdef __cplusplus
}
#endif

#endif
