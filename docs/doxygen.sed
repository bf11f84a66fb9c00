# What the headers say in fewer words than Doxygen needs. Lines keep their numbers.
# The opening comment is the description of a group, which ends before the last line.
1s|^/\* amun/([a-z]+)\.h - |/** @file */ /** @header{\1} |
$s|^#endif$|/** @} */|
# An enumeration has no name of its own; its type, written just before, has.
/^typedef int32_t amun_[a-z_0-9]+;/h
/^enum \{/{
G
s|^enum \{(.*)\ntypedef int32_t (amun_[a-z_0-9]+);.*|/** Values of @ref \2. */ enum {\1|
}
# One comment for several members.
:members
s~^( +)([a-z_0-9]+|const char) (\*?[a-z_0-9]+), ([*a-z_0-9, ]+); +/\*\*<~\1\2 \3; /**< see the next */ \2 \4; /**<~
s~; /\*\*< see the next \*/ ([a-z_0-9]+|const char) (\*?[a-z_0-9]+), ([*a-z_0-9, ]+); /\*\*<~; /**< see the next */ \1 \2; /**< see the next */ \1 \3; /**<~
tmembers
