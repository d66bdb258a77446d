# Checks the includes of daemon/ against daemon/layers, the first file named.
FILENAME ~ /layers$/ {
	sub(/#.*/, "")
	if (split($0, half, ":") < 2)
		next
	area = half[1]
	rank[area] = ++areas
	n = split(half[2], word, " ")
	for (i = 1; i <= n; i++) {
		if (word[i] ~ /^</)
			owner[word[i]] = area
		else if (!(word[i] in rank))
			fail(FILENAME, FNR, area " may not use " word[i] ", which is not below it")
		else
			may[area, word[i]] = 1
	}
	next
}
FNR == 1 {
	split(FILENAME, path, "/")
	area = path[2]
	client = path[1] == "client" # stands alone: nothing of the daemon, whatever libraries it likes
	if (!client && !(area in rank))
		fail(FILENAME, 1, "the folder " area " is not in daemon/layers")
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, quoted, "\"")
	split(quoted[2], part, "/")
	if (client) {
		if (part[1] in rank)
			fail(FILENAME, FNR, "the client may not include from the daemon")
	} else if (part[1] != area && !((area, part[1]) in may))
		fail(FILENAME, FNR, area " may not include from " part[1])
}
/^[ \t]*#[ \t]*include[ \t]*</ {
	if (!client && $2 in owner && owner[$2] != area)
		fail(FILENAME, FNR, "only " owner[$2] " may include " $2)
}
function fail(file, line, text) {
	printf "%s:%d: %s\n", file, line, text
	failed = 1
}
END { exit failed }
