using System.Collections;
using System.Runtime.InteropServices;
using KvMesh.Engine.Blocks;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.FarTiers;

/// <summary>One block on its way here. It belongs to the thread that fetches it, which ends it by taking the reservation or by abandoning it.</summary>
/// <param name="mostTime">Longest time that it may take, whatever its size; null: what the options allow a block of its size.</param>
internal sealed class BlockIntake(
    FarLookup far, Tenant tenant, byte[] key, ReadOnlyMemory<byte> parent, FetchPriority priority, long startedAt, bool losslessOnly, TimeSpan? mostTime = null) : IBlockIntake
{
    private Reservation? _reservation;
    private BitArray _accepted = new(0);
    private int _acceptedPrefix;
    private int _missing;
    private uint _tableChecksum;
    private TimeSpan _limit = mostTime ?? far.Options.DeadlineFor(0);

    public byte[] Key => key;

    public FetchPriority Priority => priority;

    public bool LosslessOnly => losslessOnly;

    public TimeSpan Remaining
    {
        get
        {
            var rest = _limit - far.Time.GetElapsedTime(startedAt);
            return rest > TimeSpan.Zero && !far.IsStopping ? rest : TimeSpan.Zero;
        }
    }

    public int AcceptedPrefixBytes => Math.Min(_acceptedPrefix * Limits.ChecksumChunkBytes, _reservation?.Payload.Length ?? 0);

    public Span<byte> Payload => _reservation is null ? default : _reservation.Payload;

    public long ExpiresAt { get; private set; }

    /// <summary>Key of the block that this one describes; null when it describes none.</summary>
    public byte[]? CompanionOf { get; private set; }

    /// <summary>Chunks that were wrong.</summary>
    public int Mismatches { get; private set; }

    /// <summary>Whether every chunk is what the origin promised, and the chunks together are its block.</summary>
    public bool IsWhole => _reservation is not null && _missing == 0 && ChecksumTable.Seal(_reservation.Checksums) == _tableChecksum;

    public void Expect(int payloadBytes)
    {
        var limit = mostTime ?? far.Options.DeadlineFor(payloadBytes);
        _limit = limit > _limit ? limit : _limit;
    }

    public bool TryReserve(in BlockOrigin origin)
    {
        if (_reservation is not null && _reservation.Payload.Length == origin.PayloadBytes && _tableChecksum == origin.TableChecksum)
        {
            return true;
        }

        Abandon();
        if (!origin.Traits.IsContent || origin.PayloadBytes < 0 || (losslessOnly && origin.Loss is not null))
        {
            return false;
        }

        Expect(origin.PayloadBytes);
        _reservation = far.Reserve(tenant, key, origin.PayloadBytes, WithParent(origin.Traits), origin.Loss);
        if (_reservation is null)
        {
            return false;
        }

        _missing = _reservation.Checksums.Length;
        _accepted = new BitArray(_missing);
        _tableChecksum = origin.TableChecksum;
        ExpiresAt = origin.ExpiresAt;
        CompanionOf = origin.Traits.CompanionOf.IsEmpty ? null : origin.Traits.CompanionOf.ToArray();
        return true;
    }

    public bool TryAccept(int firstChunk, ReadOnlySpan<byte> checksums)
    {
        var entries = MemoryMarshal.Cast<byte, uint>(checksums);
        ArgumentOutOfRangeException.ThrowIfNegative(firstChunk);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstChunk + entries.Length, _accepted.Length, nameof(checksums));
        for (var index = 0; index < entries.Length; index++)
        {
            var chunk = firstChunk + index;
            if (_accepted[chunk])
            {
                continue;
            }

            if (Crc32C.Compute(ChunkOf(chunk)) != entries[index])
            {
                Mismatches++;
                return false;
            }

            _reservation!.Checksums[chunk] = entries[index];
            _accepted[chunk] = true;
            _missing--;
        }

        while (_acceptedPrefix < _accepted.Length && _accepted[_acceptedPrefix])
        {
            _acceptedPrefix++;
        }

        return true;
    }

    /// <summary>Hands the reservation to the one who seals it.</summary>
    public Reservation Take()
    {
        var reservation = _reservation!;
        _reservation = null;
        return reservation;
    }

    public void Abandon()
    {
        if (_reservation is { } reservation)
        {
            _reservation = null;
            _acceptedPrefix = 0;
            far.Abort(reservation);
        }
    }

    /// <summary>What its origin says goes first. A companion follows no block but its own.</summary>
    private BlockTraits WithParent(in BlockTraits traits) => new()
    {
        IsContent = true,
        LosslessOnly = traits.LosslessOnly,
        Model = traits.Model,
        Revision = traits.Revision,
        CompanionOf = traits.CompanionOf,
        ParentKey = traits.ParentKey.IsEmpty && traits.CompanionOf.IsEmpty ? parent.Span : traits.ParentKey,
    };

    private ReadOnlySpan<byte> ChunkOf(int chunk)
    {
        var payload = _reservation!.Payload;
        var offset = chunk * Limits.ChecksumChunkBytes;
        return payload.Slice(offset, Math.Min(Limits.ChecksumChunkBytes, payload.Length - offset));
    }
}
