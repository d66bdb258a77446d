# Checks the calls between object files against a layers file, the first file named; the second is
# the output of `nm -A -g` for the object files. An object may use symbols of its own folder and of
# folders below it, and no two objects may use each other, directly or through others. Taking the
# address of a function counts as a use; a call through a pointer does not, so a callback may go
# upwards.
FILENAME ~ /layers$/ {
	n = split(FILENAME, word, "/")
	root = "/" word[n - 1] "/"
	sub(/#.*/, "")
	if (split($0, half, ":") < 2)
		next
	n = split(half[2], word, " ")
	for (i = 1; i <= n; i++)
		may[half[1], word[i]] = 1
	next
}
{
	# build/default/client/lib/base/util.o:0000000000000000 T text_copy
	object = $0
	sub(/\.o:.*/, "", object)
	object = substr(object, index(object, root) + length(root))
	name = $NF
	kind = $(NF - 1)
	sub(/.*:/, "", kind)
	objects[object] = 1
	if (kind == "U")
		wants[object] = wants[object] " " name
	else
		definer[name] = object
}
function folder(name) {
	return sub(/\/[^\/]*$/, "", name) ? name : ""
}
# Generated objects are in client/ itself (no folder): version.o and tool_files.o define texts only.
function check(object,    n, i, names, other, area, from) {
	n = split(wants[object], names, " ")
	for (i = 1; i <= n; i++) {
		if (!(names[i] in definer) || (other = definer[names[i]]) == object)
			continue
		edges++
		area = folder(object)
		from = folder(other)
		if (names[i] ~ /^rollcall_/ && area ~ /^(tool|examples)$/)
			continue # the public header
		if (from != "" && area != "" && area != from && !((area, from) in may))
			fail(object " may not use " names[i] " of " other)
		uses[object] = uses[object] " " other
		by[object, other] = names[i]
	}
}
function fail(text) {
	print text
	failed = 1
}
function walk(object, trail,    n, i, other, names) {
	state[object] = "open"
	n = split(uses[object], names, " ")
	for (i = 1; i <= n; i++) {
		other = names[i]
		if (state[other] == "open")
			fail("a circle: " substr(trail, index(trail, other)) " -> " other " by " by[object, other] "()")
		else if (state[other] == "")
			walk(other, trail " -> " other)
	}
	state[object] = "done"
}
END {
	for (object in objects)
		check(object)
	if (edges < 100)
		fail("calls.awk: fewer than 100 calls were found: is this the output of nm -A -g?")
	for (object in objects)
		if (state[object] == "")
			walk(object, object)
	exit failed
}
