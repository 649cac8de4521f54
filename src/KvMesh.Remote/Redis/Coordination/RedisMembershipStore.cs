using System.Collections.Immutable;
using System.Globalization;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;
using StackExchange.Redis;

namespace KvMesh.Remote.Redis.Coordination;

/// <summary>Membership in Redis: one script a step, all keys of a cluster in one hash slot, changes announced on a channel.</summary>
public sealed class RedisMembershipStore : IMembershipStore
{
    /// <summary>Milliseconds after which members of the release before begin to wait for a word of a late beat.</summary>
    private const int SilentForOthers = 2000;

    private readonly RedisLink _link;
    private readonly MemberTexts _known;
    private readonly string _cluster;
    private readonly string _channel;
    private readonly RedisKey _members;
    private readonly RedisKey _beats;
    private readonly RedisKey _changes;
    private readonly RedisKey _meta;
    private readonly RedisKey _progress;
    private readonly RedisKey _snapshot;

    /// <param name="link">Owned by the caller.</param>
    /// <param name="known">Shared by several members of one process; null: this one's own.</param>
    public RedisMembershipStore(RedisLink link, string cluster, MemberTexts? known = null)
    {
        ArgumentNullException.ThrowIfNull(link);
        _known = known ?? new MemberTexts();
        _link = link;
        _cluster = cluster;
        var prefix = ClusterKeys.Prefix(cluster);
        (_members, _beats, _changes, _meta) = (prefix + "members", prefix + "beats", prefix + "changes", prefix + "meta");
        _snapshot = prefix + "snapshot";
        _progress = RedisRemovalLog.ProgressKey(cluster);
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
                Guid.NewGuid().ToString("n"), Write(request.Record), _channel,
            ],
            cancellationToken).ConfigureAwait(false) ?? throw Garbled("join");
        return (long)reply[0] > 0
            ? new JoinReply((long)reply[0], null)
            : new JoinReply(0, MemberText.Read((byte[]?)reply[1])?.Holder(Number(reply[2])) ?? throw Garbled("holder"));
    }

    public async ValueTask<BeatReply> BeatAsync(BeatRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var reply = (RedisResult[]?)await _link.EvaluateAsync(
            MembershipScripts.Beat,
            [_members, _beats, _changes, _meta, _progress, _snapshot],
            [
                request.Id.Value, Text(request.Incarnation), request.Owner, request.Changed is { } record ? Write(record) : "",
                Text((long)request.SilentAfter.TotalMilliseconds), Text(request.Seen.Version), request.Seen.Lineage ?? "", Guid.NewGuid().ToString("n"), _channel,
                Text((long)request.Seen.Time.TotalMilliseconds), .. request.Doubted.Select(id => (RedisValue)id.Value),
            ],
            cancellationToken).ConfigureAwait(false);
        return reply is { Length: 14 } ? Read(reply) : throw Garbled("beat");
    }

    public async ValueTask<BeatOutcome> RenewAsync(NodeId id, long incarnation, string owner, CancellationToken cancellationToken) =>
        (BeatOutcome)(int)await _link.EvaluateAsync(
            MembershipScripts.Renew, [_members, _beats, _changes, _meta], [id.Value, Text(incarnation), owner, SilentForOthers], cancellationToken).ConfigureAwait(false);

    public async ValueTask LeaveAsync(NodeId id, long incarnation, CancellationToken cancellationToken) =>
        await _link.EvaluateAsync(MembershipScripts.Leave, [_members, _beats, _changes, _meta], [id.Value, Text(incarnation), _channel], cancellationToken)
            .ConfigureAwait(false);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static long Number(RedisResult result) =>
        long.TryParse((string?)result, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) ? number : 0;

    /// <summary>The incarnation stands beside the record, so that the same record has the same text.</summary>
    private static string Write(NodeRecord record) => NodeRecordJson.Write(record with { Incarnation = 0 });

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

    private BeatReply Read(RedisResult[] reply)
    {
        var outcome = (BeatOutcome)(int)reply[0];
        ImmutableArray<NodeId> silent = [.. ReadIds(reply[7], step: 2)];
        var silentIds = silent.ToHashSet();
        var texts = (RedisValue[]?)reply[8] ?? [];
        var read = new Dictionary<string, MemberText?>(StringComparer.Ordinal);
        foreach (var (name, text) in MemberListing.Read((byte[]?)reply[13] ?? []))
        {
            read[name] = _known.Read(name, text.Span);
        }

        // What changed after the snapshot was made replaces what it says.
        for (var i = 0; i + 1 < texts.Length; i += 2)
        {
            var name = (string?)texts[i] ?? "";
            read[name] = _known.Read(name, (byte[]?)texts[i + 1]);
        }

        var members = ImmutableArray.CreateBuilder<StoredMember>(read.Count);
        var removed = ImmutableArray.CreateBuilder<NodeId>();
        foreach (var (name, member) in read)
        {
            if (member is not null)
            {
                members.Add(new StoredMember(member.Record, member.HasLeft, silentIds.Contains(member.Record.Id)));
            }
            else if (NodeId.TryParse(name, out var id, out _))
            {
                removed.Add(id);
            }
        }

        var holder = outcome == BeatOutcome.Fenced ? MemberText.Read((byte[]?)reply[1])?.Holder(Number(reply[2])) : null;
        var mark = new StoreMark((string?)reply[3], Number(reply[4]), TimeSpan.FromMilliseconds(Number(reply[11])));
        return new BeatReply(
            outcome, holder, mark, (int)reply[5] == 1, members.ToImmutable(), removed.ToImmutable(), silent, Number(reply[6]))
        {
            Heard = [.. ReadIds(reply[9], step: 1)],
            IsBehind = (int)reply[12] == 1,
            RemovalMark = (string?)reply[10] ?? "",
        };
    }

    private static IEnumerable<NodeId> ReadIds(RedisResult ids, int step)
    {
        var texts = (string?[]?)ids ?? [];
        for (var index = 0; index < texts.Length; index += step)
        {
            if (NodeId.TryParse(texts[index], out var id, out _))
            {
                yield return id;
            }
        }
    }
}
