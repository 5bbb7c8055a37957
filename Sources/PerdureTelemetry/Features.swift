// The compiler ignores an upcoming feature whose name is misspelt in the manifest. Without the first of these, code would run on
// other executors than it is written for, so the build stops instead.

#if !hasFeature(NonisolatedNonsendingByDefault) || !hasFeature(InternalImportsByDefault)
    #error("the manifest has to enable NonisolatedNonsendingByDefault and InternalImportsByDefault for this target")
#endif
#if !hasFeature(ExistentialAny) || !hasFeature(MemberImportVisibility)
    #error("the manifest has to enable ExistentialAny and MemberImportVisibility for this target")
#endif
