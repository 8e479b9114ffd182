package embedded

import "strings"

// The names that MongoDB 7 knows and this package does not support. They get an error that says so.
// Any other name gets MongoDB's error for an unknown name.
// Source: https://www.mongodb.com/docs/v7.0/reference/
var (
	knownCommands = words(`
		abortTransaction appendOplogNote applyOps autoSplitVector bulkWrite cloneCollectionAsCapped collMod collStats
		commitTransaction compact configureFailPoint connPoolStats connectionStatus convertToCapped copydb createRole createUser
		currentOp dataSize dbHash dbStats dbstats collstats distinct dropAllRolesFromDatabase dropAllUsersFromDatabase dropConnections dropRole
		dropUser dropSearchIndex createSearchIndexes updateSearchIndex features filemd5 fsync fsyncUnlock getAuditConfig
		getClusterParameter getCmdLineOpts getDefaultRWConcern getFreeMonitoringStatus getLog getLastError getParameter getShardMap
		getnonce geoSearch grantPrivilegesToRole grantRolesToRole grantRolesToUser group hostInfo invalidateUserCache killAllSessions
		killAllSessionsByPattern killOp killSessions listCommands listShards lockInfo logRotate logout logApplicationMessage mapReduce
		mapreduce planCacheClear planCacheClearFilters planCacheListFilters planCacheSetFilter profile reIndex refreshSessions
		renameCollection replSetGetConfig replSetGetStatus replSetInitiate replSetReconfig replSetStepDown replSetFreeze
		resetError revokePrivilegesFromRole revokeRolesFromRole revokeRolesFromUser rolesInfo rotateCertificates
		serverStatus setDefaultRWConcern setFeatureCompatibilityVersion setFreeMonitoring setIndexCommitQuorum setParameter
		setClusterParameter setUserWriteBlockMode shardConnPoolStats shutdown startSession top updateRole updateUser usersInfo
		validate validateDBMetadata whatsmyuri dropDatabases atlasVersion listSearchIndexes getDiagnosticData`)

	knownFilters = words(`
		$alwaysFalse $alwaysTrue $bitsAllClear $bitsAllSet $bitsAnyClear $bitsAnySet $box $center $centerSphere $comment
		$expr $geoIntersects $geoWithin $geoNear $geometry $jsonSchema $maxDistance $minDistance $near $nearSphere
		$polygon $rand $sampleRate $text $uniqueDocs $where $within`)

	knownUpdates = words(`$bit $isolated $pushAll`)

	knownStages = words(`
		$addFields $bucket $bucketAuto $changeStream $changeStreamSplitLargeEvent $collStats $currentOp $densify
		$documents $facet $fill $geoNear $graphLookup $indexStats $listLocalSessions $listSampledQueries
		$listSearchIndexes $listSessions $lookup $merge $out $planCacheStats $redact $replaceRoot $replaceWith $sample
		$search $searchMeta $set $setWindowFields $shardedDataDistribution $sortByCount $unionWith $unset $unwind
		$vectorSearch`)
)

func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(list) {
		set[word] = true
	}
	return set
}

// notHere is the end of an error about something that MongoDB has and this package has not.
const notHere = "is not supported by cubegate's embedded database, only by MongoDB"

// unsupported returns a NotImplemented error about something that MongoDB has and this package has
// not. The format names it.
func unsupported(format string, args ...any) error {
	return fail(codeNotImplemented, format+" "+notHere, args...)
}

// unknownName returns the error for a name without an implementation: NotImplemented if MongoDB knows
// it, and otherwise MongoDB's own error.
func unknownName(known map[string]bool, what, name string, ownError error) error {
	if known[name] {
		return unsupported("%s %s", what, name)
	}
	return ownError
}
