# Checks the includes of daemon/ or client/ against the layers file in it, the first file named.
# -v circles=1 also refuses modules that include each other, in any folders: a module is a header
# with its .c file, or a .c file that has no header.
FILENAME ~ /layers$/ {
	root = FILENAME
	sub(/layers$/, "", root)
	sub(/#.*/, "")
	if (split($0, half, ":") < 2)
		next
	area = half[1]
	rank[area] = ++areas
	n = split(half[2], word, " ")
	for (i = 1; i <= n; i++) {
		if (word[i] ~ /^</) {
			owned[word[i]] = owned[word[i]] (owned[word[i]] == "" ? "" : " or ") area
			may[area, word[i]] = 1
		} else if (!(word[i] in rank))
			fail(FILENAME, FNR, area " may not use " word[i] ", which is not below it")
		else
			may[area, word[i]] = 1
	}
	next
}
FNR == 1 {
	path = index(FILENAME, root) == 1 ? substr(FILENAME, length(root) + 1) : FILENAME # of schema/
	area = folder(path)
	module = path
	sub(/\.[ch]$/, "", module)
	modules[module] = 1
	if (!(area in rank))
		fail(FILENAME, 1, "the folder " area " is not in " root "layers")
}
/^[ \t]*#[ \t]*include[ \t]*["<]/ {
	split($0, quoted, "[\"<>]")
	named = quoted[2]
	if ($0 ~ /</ && named != "rollcall.h") {
		word_ = "<" named ">"
		if (word_ in owned && !((area, word_) in may))
			fail(FILENAME, FNR, "only " owned[word_] " may include " word_)
		next
	}
	from = folder(named)
	if (from != area && !((area, from) in may))
		fail(FILENAME, FNR, area " may not include from " (from == "" ? "no folder" : from))
	sub(/\.h$/, "", named)
	if (named != module) {
		uses[module] = uses[module] " " named
		at[module, named] = FILENAME ":" FNR
	}
}
# The folder of a header as an include names it; the public header has none there.
function folder(name) {
	if (name == "rollcall.h")
		return "include"
	return sub(/\/[^\/]*$/, "", name) ? name : ""
}
function fail(file, line, text) {
	printf "%s:%d: %s\n", file, line, text
	failed = 1
}
# Follows the includes of a module; trail is the chain of modules that led to it.
function walk(module, trail,    n, i, next_, names) {
	state[module] = "open"
	n = split(uses[module], names, " ")
	for (i = 1; i <= n; i++) {
		next_ = names[i]
		if (state[next_] == "open") {
			print at[module, next_] ": a circle: " substr(trail, index(trail, next_)) " -> " next_
			failed = 1
		} else if (state[next_] == "")
			walk(next_, trail " -> " next_)
	}
	state[module] = "done"
}
END {
	if (circles)
		for (module in modules)
			if (state[module] == "")
				walk(module, module)
	exit failed
}
