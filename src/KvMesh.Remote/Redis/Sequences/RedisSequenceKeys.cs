using KvMesh.Cluster.Sequences;
using StackExchange.Redis;

namespace KvMesh.Remote.Redis.Sequences;

/// <summary>
/// Names of keys. Head and rows of a sequence share one hash tag, and so do the books of a tenant. A tenant's name may hold any
/// character, since the last '/' before the name of the sequence divides them and the rest is the same for all keys of a tag.
/// </summary>
internal sealed class RedisSequenceKeys(string prefix)
{
    public RedisKey Tenants { get; } = $"{prefix}sequence-tenants";

    public RedisKey Head(SequenceId id) => $"{prefix}sequence{{{id}}}:head";

    public RedisKey Rows(SequenceId id, ulong rowsId) => $"{prefix}sequence{{{id}}}:rows:{rowsId:x16}";

    public RedisKey Names(string tenant) => Book(tenant, "names");

    public RedisKey[] Books(string tenant) =>
        [Book(tenant, "taken"), Names(tenant), Book(tenant, "ends"), Book(tenant, "held"), Book(tenant, "sums"), Book(tenant, "held-until")];

    private RedisKey Book(string tenant, string name) => $"{prefix}sequences{{{tenant}}}:{name}";
}
