"""Codes D1xx, files and YAML."""

from __future__ import annotations

from engine.diagnostics.model import Code

CODES_HERE: tuple[Code, ...] = (
    Code(
        "D101",
        "error",
        "the text is not YAML",
        "The parser met something that no reading of YAML allows: a bracket or quote that is never closed, a line "
        'whose indentation fits nothing above it, a tab used as indentation, or a plain text that contains ": ". '
        "The place is where the parser gave up; the mistake is there or a little before it.\n\n"
        "    step: {target: acme/large        # the brace is never closed\n\n"
        'Close what is open, indent with spaces, and quote texts that contain ": " or begin with one of @ ` % * '
        '& ! | >. Documents after the next line "---" are read all the same.',
    ),
    Code(
        "D102",
        "error",
        "a key is there twice",
        "The same key is twice in one mapping. Most YAML tools silently keep the last one, so that a line which "
        "looks effective in a review is not.\n\n"
        "    retry: {per_target: 2, per_target: 3}\n\n"
        "Remove one of the two. The message names both places.",
    ),
    Code(
        "D103",
        "error",
        "a key is not a text",
        "Every key must be a text. Unquoted, 1 and 1.5 are numbers, true is a truth value and null or nothing is "
        "null; a list or a mapping cannot be a key at all. Keys such as no, off and 12:30 are texts here, as YAML "
        "1.2 says.\n\n"
        '    models:\n      70: {context_window: 8192}     # write "70"\n\n'
        "Quote the key. If the message speaks of an empty key, a colon has nothing before it.",
    ),
    Code(
        "D104",
        "error",
        "a tag is used",
        "Tags (!!str, !include, !Ref) change what a value means, and each tool knows others. None is allowed.\n\n"
        '    model: !!str 4          # write "4"\n\n'
        "Remove the tag. Quotes make a text of anything; files cannot include each other, for all files of the "
        "folder are read together anyway.",
    ),
    Code(
        "D105",
        "error",
        "a merge key is used",
        "The key << is an extension of YAML 1.1 that YAML 1.2 does not have; tools differ in what it does.\n\n"
        "    chat: {<<: *defaults, context_window: 8192}\n\n"
        "Write the keys out. Settings that several routes, providers or targets share belong in a policy; a key "
        "that is really called << must be quoted.",
    ),
    Code(
        "D106",
        "error",
        "a character that is not text",
        "The file contains a NUL, another control character, a separator that only some editors treat as the end "
        "of a line (U+0085, U+2028, U+2029), a byte order mark in its middle, or a control that changes the "
        "direction of writing. Such characters are invisible, and a reviewer may see another file than the program "
        "does.\n\n"
        '    message: "wait\\u2028please"     # the escape, not the character\n\n'
        "Remove the character. Where a text needs it, write its escape in double quotes; a NUL is refused in every "
        "form.",
    ),
    Code(
        "D107",
        "error",
        "the file is not UTF-8",
        "Files are read as UTF-8 and nothing else. This one has a byte order mark or the NULs of UTF-16 or UTF-32, "
        "or a byte that UTF-8 does not allow at that place, as a file in Latin-1 or Windows-1252 would.\n\n"
        "Save the file as UTF-8, for example with: iconv -f WINDOWS-1252 -t UTF-8 old.yaml > new.yaml",
    ),
    Code(
        "D108",
        "error",
        "the file starts with a byte order mark",
        "UTF-8 needs no byte order mark. The invisible character makes the first key of the file another key for "
        "some tools, and it reappears in the middle of files that are joined.\n\n"
        'Save the file as "UTF-8" instead of "UTF-8 with BOM", or remove the first three bytes.',
    ),
    Code(
        "D109",
        "error",
        "the file is too large",
        "A file may have 4 MB and 20,000 documents. A larger one is not opened: it is most likely in this folder "
        "by mistake, and reading it would delay every reload.\n\n"
        "Move the file out of providers.d and policies, or split it. A folder may hold any number of files, and "
        "their names mean nothing.",
    ),
    Code(
        "D110",
        "error",
        "a text is too long",
        "A single text may have 262,144 characters. Nothing in a routing configuration is that long; a missing "
        "quote often is the reason, for it makes the rest of the file one text.\n\n"
        "Close the quote, or keep the text outside of the configuration.",
    ),
    Code(
        "D111",
        "error",
        "nested too deep",
        "Values may be nested 64 levels deep, counted through aliases.\n\n"
        "    step: [[[[[[ ... ]]]]]]\n\n"
        "Flatten the tree. A step can hand over to another route with {route: NAME}, which starts a tree of its "
        "own.",
    ),
    Code(
        "D112",
        "error",
        "aliases stand for too much",
        "The aliases (*name) of one file together stand for more than 10,000 values or 4 MB of text. A few lines "
        "of aliases of aliases can stand for billions of values, which is a known way to exhaust a program's "
        "memory.\n\n"
        "Write the values out. Settings that several routes share belong in a policy.",
    ),
    Code(
        "D113",
        "error",
        "an alias stands for nothing",
        "An alias (*name) must come after its anchor (&name), in the same document, and not inside the anchored "
        "value itself.\n\n"
        "    match: {model: *models}      # no &models before this line\n\n"
        "Define the anchor before, or write the value out. A glob that begins with an asterisk must be quoted: "
        '"*-mini".',
    ),
    Code(
        "D114",
        "error",
        "a number that JSON does not have",
        "The value reads as a number, but as NaN, as infinity, or as one that does not fit into 64 bits.\n\n"
        "    weight: .inf\n\n"
        "Write a finite number. If the value is a text that happens to look like a number, such as an account id, "
        "quote it.",
    ),
    Code(
        "D115",
        "error",
        "too many findings in one file",
        "After 100 findings the rest of a file is not read. So many findings usually have one cause, such as a "
        "wrong indentation or a file that is not a configuration at all.\n\n"
        "Mend the first ones and check again.",
    ),
    Code(
        "D116",
        "error",
        "too many values in one document",
        "A document may have 50,000 values and keys, those that its aliases stand for included. No provider or route "
        "comes near it; the file is most likely data that lies in this folder by mistake.\n\n"
        "Divide the document: models can be spread over several providers, and a step can hand over to another route.",
    ),
    Code(
        "D120",
        "error",
        "the document is not a mapping",
        "Every document is a mapping that has at least the keys version, kind and name. This one is a list or a "
        "single value.\n\n"
        "    version: 1\n    kind: route\n    name: chat\n    step: acme/large\n\n"
        "Several documents in one file are separated by lines of three hyphens, not by list items.",
    ),
    Code(
        "D121",
        "error",
        "the version is missing",
        "Every document says with which version of the configuration language it was written, so that later "
        "versions can read it the way it was meant.\n\n"
        "Add the line: version: 1. A document of an overlay may leave it to the document that it changes.",
    ),
    Code(
        "D122",
        "error",
        "the version is not supported",
        "This release reads version 1 of the configuration language, written as the number 1 without quotes.\n\n"
        'Write "version: 1". If the file was written for a later release, upgrade before using it.',
    ),
    Code(
        "D123",
        "error",
        "the kind is missing",
        "Every document says what it declares: a provider, route, policy, key, settings, budget, limit, invariant "
        "or test. The folder or the name of the file does not say it.\n\n"
        "Add for example: kind: route.",
    ),
    Code(
        "D124",
        "error",
        "the kind is unknown",
        "The kinds are provider, route, policy, key, settings, budget, limit, invariant and test, in lower case. "
        "Manifests of other tools cannot lie among the files of providers.d and policies.\n\n"
        '    kind: Route          # write "route"\n\n'
        "Correct the kind, or move the file out of these two folders.",
    ),
    Code(
        "D125",
        "error",
        "the name is missing",
        "Every document has a name. References, globs, budgets and live state go by it; names of files mean "
        "nothing.\n\n"
        "Add for example: name: chat. Two documents of different kinds may have the same name.",
    ),
    Code(
        "D126",
        "error",
        "the name is not allowed",
        "A name has letters, digits, dots, underscores and hyphens, starts with a letter or a digit, and has at "
        'most 128 characters. A slash would make "provider/model" ambiguous; a name that reads as a number must '
        "be quoted. Only the name of a test is free, since nothing refers to it.\n\n"
        "    name: my chat          # write my-chat\n\n"
        "Rename it. A route serves other model names, with slashes and colons, by match: {model: [...]}.",
    ),
    Code(
        "D127",
        "error",
        "two documents have the same kind and name",
        "Which of the two should hold would depend on the order of files, and the order of files means nothing. "
        "The second one is not looked at further.\n\n"
        "Rename or remove one; the message names both places. To change a document for one environment, put the "
        "change into another folder and give it with --overlay.",
    ),
    Code(
        "D128",
        "error",
        "an overlay changes a document that does not exist",
        "A document of an overlay without a version changes the document of the same kind and name in the layers "
        "below, as JSON Merge Patch (RFC 7396). None of them has it.\n\n"
        "Correct the name. If the document is meant to exist in this environment alone, make it complete and add "
        "version: 1.",
    ),
    Code(
        "D130",
        "error",
        "a file or folder cannot be read",
        "The operating system refuses to read it, it is a link that leads nowhere, or it is a pipe or a device and "
        "not a file. A configuration of which a part is missing is not used.\n\n"
        "Check owner and permissions of the file and of the folders above it, for the user that runs the program.",
    ),
    Code(
        "D131",
        "error",
        "the configuration folder does not exist",
        "The path that was given for the configuration or an overlay is not a folder.\n\n"
        "Give the folder that holds providers.d and policies. `interlock init` makes a small one to start from.",
    ),
    Code(
        "D132",
        "error",
        "the folder is not a configuration",
        "A configuration is a folder that contains providers.d, or policies, or both. This one has neither, and "
        "YAML files beside them are not read.\n\n"
        "Give the folder above, or move the files into providers.d and policies. `interlock init` makes both.",
    ),
    Code(
        "D133",
        "error",
        "the folder holds too many files",
        "More than 100,000 YAML files lie in providers.d and policies, so that this is most likely another "
        "folder.\n\n"
        "Check the path, and check for links that lead out of the configuration.",
    ),
    Code(
        "D134",
        "error",
        "the file is empty",
        "A YAML file has no content at all. Most often it is being written at this moment: a shell that runs "
        "`render > policies/chat.yaml` empties the file first and fills it when the program has something to say. Read "
        "as a file without documents, it would take its routes away from everyone until then.\n\n"
        "Wait for the write to end: a running server reads the file again by itself. If the file is meant to hold "
        "nothing, remove it, or write a comment into it.",
    ),
)
