#ifndef FLASH_LLM_TEST_SOURCES_H
#define FLASH_LLM_TEST_SOURCES_H

// The sources of kernels that exist for tests, embedded, so that a GPU can run them, too: functions.cu and what it
// includes beside the files of Sources/CCUDA.

#ifdef __cplusplus
extern "C" {
#endif

int flash_test_source_count(void);
// For an index below the count: the name that an #include gives it, and its text.
const char *flash_test_source_name(int index);
const char *flash_test_source_text(int index);

#ifdef __cplusplus
}
#endif

#endif
