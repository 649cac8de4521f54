using System.Collections.Immutable;
using System.Globalization;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;
using StackExchange.Redis;

namespace KvMesh.Remote.Redis.Coordination;

/// <summary>Membership in Redis: one script a step, all keys of a cluster in one hash slot, changes announced on a channel.</summary>
public sealed class RedisMembershipStore : IMembershipStore
{
    private readonly RedisLink _link;
    private readonly string _cluster;
    private readonly string _channel;
    private readonly RedisKey _members;
    private readonly RedisKey _beats;
    private readonly RedisKey _changes;
    private readonly RedisKey _meta;

    /// <param name="link">Owned by the caller.</param>
    public RedisMembershipStore(RedisLink link, string cluster)
    {
        ArgumentNullException.ThrowIfNull(link);
        _link = link;
        _cluster = cluster;
        var prefix = ClusterKeys.Prefix(cluster);
        (_members, _beats, _changes, _meta) = (prefix + "members", prefix + "beats", prefix + "changes", prefix + "meta");
        _channel = prefix + "news";
        link.Subscribe(_channel, () => Changed?.Invoke());
    }

    public event Action? Changed;

    public string Description => _link.Description;

    public async ValueTask<ClusterIdentity> AgreeAsync(ClusterIdentity? known, CancellationToken cancellationToken)
    {
        var reply = await _link.EvaluateAsync(
            MembershipScripts.Agree, [_meta], [known is null ? "" : Write(known), Write(DigestSecret.Create())], cancellationToken).ConfigureAwait(false);
        return ReadIdentity((string?)reply) ?? throw Garbled("identity");
    }

    public async ValueTask<JoinReply> JoinAsync(JoinRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var reply = (RedisResult[]?)await _link.EvaluateAsync(
            MembershipScripts.Join,
            [_members, _beats, _changes, _meta],
            [
                request.Record.Id.Value, Text(request.Record.Incarnation), request.Owner, request.IsReturn ? 1 : 0, request.MayReplaceOwn ? 1 : 0,
                request.Silent is { } silent ? Text(silent.Incarnation) : "", request.Silent is { } mark ? Text(mark.Beat) : "",
                Guid.NewGuid().ToString("n"), NodeRecordJson.Write(request.Record), _channel,
            ],
            cancellationToken).ConfigureAwait(false) ?? throw Garbled("join");
        return (long)reply[0] > 0
            ? new JoinReply((long)reply[0], null)
            : new JoinReply(0, MemberText.Read((string?)reply[1])?.Holder(Number(reply[2])) ?? throw Garbled("holder"));
    }

    public async ValueTask<BeatReply> BeatAsync(BeatRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var reply = (RedisResult[]?)await _link.EvaluateAsync(
            MembershipScripts.Beat,
            [_members, _beats, _changes, _meta],
            [
                request.Id.Value, Text(request.Incarnation), request.Owner, request.Changed is { } record ? NodeRecordJson.Write(record) : "",
                Text((long)request.SilentAfter.TotalMilliseconds), Text(request.Seen.Version), request.Seen.Lineage ?? "", Guid.NewGuid().ToString("n"), _channel,
            ],
            cancellationToken).ConfigureAwait(false);
        return reply is { Length: 9 } ? Read(reply) : throw Garbled("beat");
    }

    public async ValueTask LeaveAsync(NodeId id, long incarnation, CancellationToken cancellationToken) =>
        await _link.EvaluateAsync(MembershipScripts.Leave, [_members, _changes, _meta], [id.Value, Text(incarnation), _channel], cancellationToken)
            .ConfigureAwait(false);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static long Number(RedisResult result) =>
        long.TryParse((string?)result, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) ? number : 0;

    private static string Write(ClusterIdentity identity) => $"{identity.CreatedAt.ToUnixTimeMilliseconds():D16}:{Write(identity.Secret)}";

    private static string Write(DigestSecret secret) => $"{secret.High:x16}{secret.Low:x16}";

    private StoreSilentException Garbled(string what) => new($"{Description} has no {what} that can be read under {ClusterKeys.Prefix(_cluster)}.");

    private ClusterIdentity? ReadIdentity(string? text) =>
        text is { Length: 49 }
        && long.TryParse(text.AsSpan(0, 16), NumberStyles.None, CultureInfo.InvariantCulture, out var createdAt)
        && ulong.TryParse(text.AsSpan(17, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var high)
        && ulong.TryParse(text.AsSpan(33, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var low)
            ? new ClusterIdentity(_cluster, new DigestSecret(low, high), DateTimeOffset.FromUnixTimeMilliseconds(createdAt))
            : null;

    private static BeatReply Read(RedisResult[] reply)
    {
        var outcome = (BeatOutcome)(int)reply[0];
        var members = ImmutableArray.CreateBuilder<StoredMember>();
        var removed = ImmutableArray.CreateBuilder<NodeId>();
        var texts = (string[]?)reply[8] ?? [];
        for (var i = 0; i + 2 < texts.Length; i += 3)
        {
            if (MemberText.Read(texts[i + 1]) is { } member)
            {
                var age = TimeSpan.FromMilliseconds(Math.Max(0, long.Parse(texts[i + 2], CultureInfo.InvariantCulture)));
                members.Add(new StoredMember(member.Record, member.HasLeft, age));
            }
            else if (NodeId.TryParse(texts[i], out var id, out _))
            {
                removed.Add(id);
            }
        }

        ImmutableArray<NodeId> silent = [.. ((string[]?)reply[7] ?? []).Where(text => NodeId.TryParse(text, out _, out _)).Select(NodeId.Parse)];
        var holder = outcome == BeatOutcome.Fenced ? MemberText.Read((string?)reply[1])?.Holder(Number(reply[2])) : null;
        var mark = new StoreMark((string?)reply[3], Number(reply[4]));
        return new BeatReply(
            outcome, holder, mark, (int)reply[5] == 1, members.ToImmutable(), removed.ToImmutable(), silent, Number(reply[6]));
    }
}
