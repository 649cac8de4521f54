using System.Security.Cryptography;
using KvMesh.Cluster.Removals;
using KvMesh.Engine.FarTiers;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// Writes blocks, one at a time, out of the arena: the caller holds the block open. The first round trip tells what was purged and whether
/// the block is there, and renews it if so; only then do bytes travel. Parts go first and the head last, and only if there is none yet:
/// nobody reads half a block, and of two writers the first one wins.
/// </summary>
internal sealed class RedisBlockWriter(
    RedisServerLink link, RedisKeys keys, RecordCipher cipher, RedisRemovals removals, Removals? log, RedisTierOptions options, RedisTierMetrics metrics, TimeProvider time,
    RedisPayloadEncoder? encoder)
{
    /// <summary>How much longer parts live than the head that names them.</summary>
    private static readonly TimeSpan PartGrace = TimeSpan.FromMinutes(1);

    /// <summary>Slowest encoding that an operation waits for.</summary>
    private const int EncodedBytesPerSecond = 32 * 1024 * 1024;

    private readonly RecentNames _recent = new();
    private byte[] _sealed = [];

    /// <summary>Whether this node wrote the block lately, so that a removal by another may have come before the write.</summary>
    public bool WroteLately(BlockName name) => _recent.Contains(name);

    /// <summary>As <see cref="IBlockTier.Offer"/>.</summary>
    public bool Offer(in LeavingBlock block)
    {
        if (!block.IsWanted)
        {
            Interlocked.Increment(ref metrics.Skipped);
            return false;
        }

        if (TimeToLive(block.Origin.ExpiresAt) is not { } life)
        {
            return true;
        }

        if (!link.IsWritable || !removals.Order.TryEnter())
        {
            return Deferred();
        }

        try
        {
            var tenant = removals.KeysOf(block.Tenant.Name);
            var name = BlockName.Of(tenant.Utf8, block.Key);
            return removals.IsHidden(name) || removals.IsPurging(tenant.Name) || !link.TryBegin(options.Deadline, out var connection)
                ? Deferred()
                : Write(connection, tenant, name, life, block);
        }
        finally
        {
            removals.Order.Exit();
        }
    }

    /// <summary>Asks for the first bytes of a head; there are none when there is no block.</summary>
    public static void AskHead(RedisConnection connection, ReadOnlySpan<byte> headKey)
    {
        connection.Commands.Begin(4);
        connection.Commands.Add("GETRANGE"u8);
        connection.Commands.Add(headKey);
        connection.Commands.Add(0);
        connection.Commands.Add(RecordHead.Bytes - 1);
    }

    private bool Write(RedisConnection connection, TenantKeys tenant, BlockName name, TimeSpan life, in LeavingBlock block)
    {
        IOException? failure = null;
        try
        {
            Span<byte> headKey = stackalloc byte[RedisKeys.MaxBytes];
            headKey = headKey[..keys.WriteHead(name, headKey)];
            if (IsThere(connection, tenant, name, headKey, life, block))
            {
                Interlocked.Increment(ref metrics.Renewed);
                return true;
            }

            // The number first, then the look at the block: what was purged meanwhile never gets a number from after the purge.
            var reached = log?.Applied ?? 0;
            if (block.IsStillKept)
            {
                WriteNew(connection, name, headKey, life, reached, block);
                _recent.Add(name);
            }

            return true;
        }
        catch (IOException exception)
        {
            failure = exception;
            return Deferred();
        }
        finally
        {
            link.End(connection, failure);
        }
    }

    /// <summary>Whether somebody has written the block, so that it need only be renewed. What is there and of no use is removed.</summary>
    private bool IsThere(RedisConnection connection, TenantKeys tenant, BlockName name, ReadOnlySpan<byte> headKey, TimeSpan life, in LeavingBlock block)
    {
        ScopeStamps.Ask(connection, tenant.ScopesKey);
        AskHead(connection, headKey);
        Renew(connection, headKey, life);
        connection.Send();
        connection.Scopes.Read(connection);
        var prefix = connection.Scratch.AsSpan(0, RecordHead.Bytes);
        var bytes = connection.ReadValueHead(RecordHead.Bytes);
        connection.Replies.Receive(prefix[..bytes]);
        connection.Replies.EndBulk();
        var isRenewed = connection.ReadNumber() == 1;
        if (!connection.Scopes.HasBase)
        {
            BeginScopes(connection, tenant);
        }

        if (bytes == 0)
        {
            return false;
        }

        var isHead = RecordHead.TryRead(prefix[..bytes], out var head);
        if (isHead && head.IsEncrypted && !cipher.CanRead(head.KeyId))
        {
            // Written under a key that this node does not have: others do.
            return true;
        }

        var isGoodEnough = !head.IsLossy || !block.Origin.Traits.LosslessOnly;
        if (isHead && isGoodEnough && isRenewed && cipher.CanRead(head.KeyId) && head.ScopeStamp == StampOf(connection, block) && IsCurrent(head, block) && AreOtherPartsRenewed(connection, name, head, life))
        {
            return true;
        }

        connection.Commands.Begin(2);
        connection.Commands.Add("UNLINK"u8);
        connection.Commands.Add(headKey);
        connection.Send();
        connection.ReadNumber();
        return false;
    }

    private bool AreOtherPartsRenewed(RedisConnection connection, BlockName name, in RecordHead head, TimeSpan life)
    {
        if (head.Parts == 1)
        {
            return true;
        }

        Span<byte> key = stackalloc byte[RedisKeys.MaxBytes];
        for (var part = 1; part < head.Parts; part++)
        {
            Renew(connection, key[..keys.WritePart(name, part, head.Generation, key)], life + PartGrace);
        }

        connection.Send();
        var areThere = true;
        for (var part = 1; part < head.Parts; part++)
        {
            areThere &= connection.ReadNumber() == 1;
        }

        return areThere;
    }

    private void WriteNew(RedisConnection connection, BlockName name, ReadOnlySpan<byte> headKey, TimeSpan life, long reached, in LeavingBlock block)
    {
        var origin = block.Origin;
        var names = new RecordNames
        {
            Tenant = removals.KeysOf(block.Tenant.Name).Utf8,
            Model = RecordNames.Name(origin.Traits.Model ?? ""),
            Revision = RecordNames.Name(origin.Traits.Revision ?? ""),
            Key = block.Key,
            ParentKey = origin.Traits.ParentKey,
            CompanionOf = origin.Traits.CompanionOf,
        };
        if (encoder is not null)
        {
            connection.Extend(options.Deadline + TimeSpan.FromSeconds(block.Payload.Length / EncodedBytesPerSecond));
        }

        var stored = encoder is null ? RedisPayloadEncoder.AsItIs(block) : encoder.Encode(block);
        var head = new RecordHead(
            NewGeneration(), StampOf(connection, block), cipher.WriteKeyId, origin.ExpiresAt, stored.Payload.Length, stored.TableChecksum, names.Bytes,
            reached, stored.Codec,
            (stored.Loss is null ? RecordFlags.None : RecordFlags.Lossy) | (origin.Traits.LosslessOnly ? RecordFlags.LosslessOnly : RecordFlags.None));
        Span<byte> partKey = stackalloc byte[RedisKeys.MaxBytes];
        for (var part = 1; part < head.Parts; part++)
        {
            SendPart(connection, head, part, partKey[..keys.WritePart(name, part, head.Generation, partKey)], life + PartGrace, stored.Payload);
        }

        if (SendHead(connection, head, names, headKey, life, stored, new CodedIndex(block.Payload.Length, stored.BlockTableChecksum)))
        {
            Interlocked.Increment(ref metrics.Written);
            Interlocked.Add(ref metrics.WrittenBytes, block.Payload.Length);
            return;
        }

        // Another node was first: its block is as good.
        Interlocked.Increment(ref metrics.Renewed);
        RemoveOwnParts(connection, name, head);
    }

    private void SendPart(
        RedisConnection connection, in RecordHead head, int part, ReadOnlySpan<byte> redisKey, TimeSpan life, ReadOnlySpan<byte> payload)
    {
        connection.Extend(options.Deadline);
        var piece = payload.Slice(part * RecordHead.PartBytes, head.PayloadBytesOf(part));
        BeginSet(connection, arguments: 5, redisKey, head.PartValueBytes(part));
        if (head.IsEncrypted)
        {
            Span<byte> seal = stackalloc byte[RecordHead.SealBytes];
            piece = Sealed(head.Generation, piece, seal, redisKey, part + 1);
            connection.Commands.AddBytes(seal);
        }

        EndSet(connection, life, piece, onlyIfAbsent: false);
        connection.ReadDone();
    }

    /// <summary>False when there is a head already.</summary>
    private bool SendHead(
        RedisConnection connection, in RecordHead head, in RecordNames names, ReadOnlySpan<byte> headKey, TimeSpan life, in StoredPayload stored,
        CodedIndex coded)
    {
        connection.Extend(options.Deadline);
        var piece = stored.Payload[..head.PayloadBytesOf(0)];
        var prefix = connection.Scratch.AsSpan(0, RecordHead.Bytes);
        var index = connection.Scratch.AsSpan(RecordHead.Bytes, head.IndexBytes);
        head.Write(prefix);
        names.Write(index[..head.NameBytes]);
        if (head.CodedBytes > 0)
        {
            coded.Write(index[head.NameBytes..]);
            stored.Loss?.Write(index[(head.NameBytes + CodedIndex.Bytes)..]);
        }

        RecordHead.TableAsBytes(stored.Checksums).CopyTo(index[(head.NameBytes + head.CodedBytes)..]);
        BeginSet(connection, arguments: 6, headKey, head.HeadValueBytes);
        connection.Commands.AddBytes(prefix);
        if (!head.IsEncrypted)
        {
            connection.Commands.AddBytes(index);
        }
        else
        {
            Span<byte> seal = stackalloc byte[RecordHead.SealBytes];
            Span<byte> associated = stackalloc byte[16 + RedisKeys.MaxBytes + RecordHead.Bytes];
            var bytes = RecordCipher.WriteAssociated(associated, headKey, 0, head.Generation, prefix);
            cipher.Seal(index, index, seal, associated[..bytes]);
            connection.Commands.AddBytes(seal);
            connection.Commands.AddBytes(index);
            piece = Sealed(head.Generation, piece, seal, headKey, 1);
            connection.Commands.AddBytes(seal);
        }

        EndSet(connection, life, piece, onlyIfAbsent: true);
        return connection.ReadDone();
    }

    /// <summary>The piece encrypted, in a buffer that the next call overwrites: the arena is other readers' too.</summary>
    private ReadOnlySpan<byte> Sealed(
        ulong generation, scoped ReadOnlySpan<byte> piece, scoped Span<byte> seal, scoped ReadOnlySpan<byte> redisKey, int number)
    {
        if (_sealed.Length < piece.Length)
        {
            _sealed = GC.AllocateUninitializedArray<byte>(RecordHead.PartBytes, pinned: true);
        }

        Span<byte> associated = stackalloc byte[16 + RedisKeys.MaxBytes];
        var bytes = RecordCipher.WriteAssociated(associated, redisKey, number, generation, default);
        var destination = _sealed.AsSpan(0, piece.Length);
        cipher.Seal(piece, destination, seal, associated[..bytes]);
        return destination;
    }

    private void RemoveOwnParts(RedisConnection connection, BlockName name, in RecordHead head)
    {
        if (head.Parts == 1)
        {
            return;
        }

        Span<byte> key = stackalloc byte[RedisKeys.MaxBytes];
        connection.Commands.Begin(head.Parts);
        connection.Commands.Add("UNLINK"u8);
        for (var part = 1; part < head.Parts; part++)
        {
            connection.Commands.Add(key[..keys.WritePart(name, part, head.Generation, key)]);
        }

        connection.Send();
        connection.ReadNumber();
    }

    /// <summary>The first writer of a tenant gives its hash a base; of two, one wins.</summary>
    private static void BeginScopes(RedisConnection connection, TenantKeys tenant)
    {
        connection.Commands.Begin(4);
        connection.Commands.Add("HSETNX"u8);
        connection.Commands.Add(tenant.ScopesKey);
        connection.Commands.Add("base"u8);
        connection.Commands.Add(ScopeStamps.NewValue());
        ScopeStamps.Ask(connection, tenant.ScopesKey);
        connection.Send();
        connection.ReadNumber();
        connection.Scopes.Read(connection);
    }

    private static void BeginSet(RedisConnection connection, int arguments, ReadOnlySpan<byte> redisKey, int valueBytes)
    {
        connection.Commands.Begin(arguments);
        connection.Commands.Add("SET"u8);
        connection.Commands.Add(redisKey);
        connection.Commands.BeginBulk(valueBytes);
    }

    private static void EndSet(RedisConnection connection, TimeSpan life, ReadOnlySpan<byte> piece, bool onlyIfAbsent)
    {
        var offset = connection.Commands.Length;
        connection.Commands.EndBulk();
        connection.Commands.Add("PX"u8);
        connection.Commands.Add((long)life.TotalMilliseconds);
        if (onlyIfAbsent)
        {
            connection.Commands.Add("NX"u8);
        }

        connection.SendAround(offset, piece);
    }

    private static void Renew(RedisConnection connection, ReadOnlySpan<byte> redisKey, TimeSpan life)
    {
        connection.Commands.Begin(3);
        connection.Commands.Add("PEXPIRE"u8);
        connection.Commands.Add(redisKey);
        connection.Commands.Add((long)life.TotalMilliseconds);
    }

    private bool IsCurrent(in RecordHead head, in LeavingBlock block) => log is null
        || head.Reached >= log.LastRemoval(block.Tenant.Name, block.Origin.Traits.Model ?? "", block.Origin.Traits.Revision ?? "", block.Key);

    private static ulong StampOf(RedisConnection connection, in LeavingBlock block) =>
        connection.Scopes.Of(block.Origin.Traits.Model ?? "", block.Origin.Traits.Revision ?? "");

    private static ulong NewGeneration() => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));

    /// <summary>How long Redis is to keep the block; null when it is not worth the way.</summary>
    private TimeSpan? TimeToLive(long expiresAt)
    {
        if (expiresAt == 0)
        {
            return options.TimeToLive;
        }

        var left = TimeSpan.FromMilliseconds(expiresAt - time.GetUtcNow().ToUnixTimeMilliseconds());
        return left < TimeSpan.FromSeconds(1) ? null : left < options.TimeToLive ? left : options.TimeToLive;
    }

    private bool Deferred()
    {
        Interlocked.Increment(ref metrics.Deferred);
        return false;
    }
}
