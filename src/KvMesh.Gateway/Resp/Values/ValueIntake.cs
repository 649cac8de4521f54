using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Resp.Keys;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Values;

/// <summary>
/// Brings values from the wire into the engine. A large one is received straight into its reservation before the rest of its
/// request is known, and waits there, invisible, until the command says what to do with it; a small one is copied when the command
/// executes. Whatever a command does not complete is given back before the next request.
/// </summary>
internal sealed class ValueIntake(RespSession session)
{
    /// <summary>Largest piece per system call: it is still in the second-level cache when it is checksummed.</summary>
    private const int PieceBytes = 256 * 1024;

    private readonly List<Intake> _taken = [];

    /// <summary>Whether an argument of the current request is not in the buffer.</summary>
    public bool HasPassedBulk { get; private set; }

    private RespServices Services => session.Services;

    /// <summary>Streams the bulk that the scanner stands at. False when the peer has gone.</summary>
    public bool Stream(ReadOnlySpan<byte> key, int keyBytes, int argument, RespScanner scanner, RespInput input)
    {
        var intake = keyBytes > Limits.MaxKeyBytes ? new Intake(argument, IntakeStatus.Refused, null, false) : Begin(key, argument, scanner.BulkBytes);
        _taken.Add(intake);
        if (intake.Reservation is null)
        {
            return Drain(scanner, input);
        }

        var payload = intake.Reservation.Payload;
        var checksum = default(RunningChecksum);
        var filled = input.Take(scanner.Position, payload);
        checksum.Append(payload[..filled], intake.Reservation.Checksums);
        while (filled < payload.Length)
        {
            var piece = payload[filled..Math.Min(payload.Length, filled + PieceBytes)];
            var received = session.Receive(piece);
            if (received == 0)
            {
                return false;
            }

            checksum.Append(piece[..received], intake.Reservation.Checksums);
            filled += received;
        }

        HasPassedBulk = true;
        scanner.PassBulk();
        return true;
    }

    /// <summary>Reads the bulk that the scanner stands at and forgets it. False when the peer has gone.</summary>
    public bool Drain(RespScanner scanner, RespInput input)
    {
        var left = scanner.BulkBytes - input.Skip(scanner.Position, scanner.BulkBytes);
        var scratch = left > 0 ? Services.Buffers.Rent() : [];
        try
        {
            while (left > 0)
            {
                var received = session.Receive(scratch.AsSpan(0, Math.Min(left, scratch.Length)));
                if (received == 0)
                {
                    return false;
                }

                left -= received;
            }
        }
        finally
        {
            if (scratch.Length > 0)
            {
                Services.Buffers.Return(scratch);
            }
        }

        HasPassedBulk = true;
        scanner.PassBulk();
        return true;
    }

    /// <summary>Whether the value can be stored at all. Only a client that reads errors is told that it is too long.</summary>
    public bool IsAcceptable(in RespRequest request, int keyIndex, int valueIndex)
    {
        var bytes = request.LengthOf(valueIndex);
        if (bytes <= Services.MaxBlockBytes || session.IsStrict || Services.Keys.TryParse(request[keyIndex], out _))
        {
            return true;
        }

        session.Fail(RespErrors.ValueTooLong(bytes, Services.MaxBlockBytes));
        return false;
    }

    /// <summary>Makes a value of the request visible under its key.</summary>
    public StoreOutcome Store(in RespRequest request, int keyIndex, int valueIndex, in SealOptions options) =>
        Store(request, keyIndex, valueIndex, options, wantsPrevious: false, out _);

    /// <summary>As above; opens the value that was there before, which the caller disposes.</summary>
    public StoreOutcome Store(
        in RespRequest request, int keyIndex, int valueIndex, in SealOptions options, bool wantsPrevious, out BlockRead? previous)
    {
        session.Batch.Puts++;
        var key = request[keyIndex];
        var intake = request.IsAbsent(valueIndex) ? TakeStreamed(valueIndex) : TakeBuffered(key, request[valueIndex], valueIndex);
        var outcome = intake.IsContent
            ? Complete(key, intake, options, wantsPrevious, out previous)
            : CompleteLocked(key, intake, options, wantsPrevious, out previous);
        session.Batch.DroppedWrites += outcome == StoreOutcome.Dropped ? 1 : 0;
        return outcome;
    }

    /// <summary>Gives back what the request brought and its command did not store.</summary>
    public void Abandon()
    {
        HasPassedBulk = false;
        if (_taken.Count == 0)
        {
            return;
        }

        foreach (var intake in _taken)
        {
            if (intake.Reservation is { } reservation)
            {
                Services.Engine.Abort(reservation);
            }
        }

        _taken.Clear();
    }

    private Intake TakeStreamed(int argument)
    {
        var index = _taken.FindIndex(intake => intake.Argument == argument);
        if (index < 0)
        {
            // The value was drained before its command was known to want it.
            return new Intake(argument, IntakeStatus.Refused, null, false);
        }

        var taken = _taken[index];
        _taken.RemoveAt(index);
        return taken;
    }

    private Intake TakeBuffered(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, int argument)
    {
        var intake = Begin(key, argument, value.Length);
        if (intake.Reservation is { } reservation)
        {
            value.CopyTo(reservation.Payload);
            ChecksumTable.Compute(value, reservation.Checksums);
        }

        return intake;
    }

    private Intake Begin(ReadOnlySpan<byte> key, int argument, int valueBytes)
    {
        var isContent = Services.Keys.TryParse(key, out var parts);
        if (valueBytes > Services.MaxBlockBytes || Services.IsDraining)
        {
            return new Intake(argument, IntakeStatus.Refused, null, isContent);
        }

        Reservation? reservation;
        var status = isContent
            ? ReserveContent(key, parts, valueBytes, out reservation)
            : Services.Engine.TryReserve(session.Tenant, key, valueBytes, BlockTraits.Opaque, out reservation);
        return status switch
        {
            ReserveStatus.Reserved => new Intake(argument, IntakeStatus.Reserved, reservation, isContent),
            ReserveStatus.AlreadyPresent => new Intake(argument, IntakeStatus.AlreadyPresent, null, isContent),
            _ => new Intake(argument, IntakeStatus.Refused, null, isContent),
        };
    }

    private ReserveStatus ReserveContent(ReadOnlySpan<byte> key, in ContentKey parts, int valueBytes, out Reservation? reservation)
    {
        Span<byte> related = stackalloc byte[Limits.MaxKeyBytes];
        var model = Services.Models.Of(key[parts.Model]);
        if (parts.Half == LmcacheHalf.Metadata)
        {
            key[..parts.BaseBytes].CopyTo(related);
            LmcacheKey.BytesSuffix.CopyTo(related[parts.BaseBytes..]);
            var companion = new BlockTraits
            {
                IsContent = true,
                Model = model,
                Revision = "",
                CompanionOf = related[..(parts.BaseBytes + LmcacheKey.BytesSuffix.Length)],
            };
            return Services.Engine.TryReserve(session.Tenant, key, valueBytes, companion, out reservation);
        }

        var parentBytes = Services.Chains.Stored(session.ChainSource, key, parts, related);
        return Services.Engine.TryReserve(
            session.Tenant, key, valueBytes, BlockTraits.Content(model, "", related[..parentBytes]), out reservation);
    }

    private StoreOutcome CompleteLocked(ReadOnlySpan<byte> key, Intake intake, in SealOptions options, bool wantsPrevious, out BlockRead? previous)
    {
        lock (Services.Locks.Of(key))
        {
            return Complete(key, intake, options, wantsPrevious, out previous);
        }
    }

    private StoreOutcome Complete(ReadOnlySpan<byte> key, Intake intake, in SealOptions options, bool wantsPrevious, out BlockRead? previous)
    {
        previous = null;
        if (intake.Reservation is null)
        {
            previous = wantsPrevious ? session.OpenForReply(key) : null;
            return intake.Status == IntakeStatus.AlreadyPresent ? KeepPresent(key, options) : Drop(key, intake, options);
        }

        var status = wantsPrevious
            ? Services.Engine.Seal(intake.Reservation, options, out previous)
            : Services.Engine.Seal(intake.Reservation, options);
        if (status != SealStatus.Sealed && wantsPrevious)
        {
            previous ??= session.OpenForReply(key);
        }

        return status switch
        {
            SealStatus.Sealed => StoreOutcome.Stored,
            SealStatus.ConditionFailed => StoreOutcome.ConditionFailed,
            SealStatus.AlreadyPresent => KeepPresent(key, options),
            _ => Drop(key, intake, options),
        };
    }

    /// <summary>The content is here already, which is as good as stored. A later expiry than the block has extends it; an earlier one is ignored.</summary>
    private StoreOutcome KeepPresent(ReadOnlySpan<byte> key, in SealOptions options)
    {
        if (options.Condition == SealCondition.IfAbsent)
        {
            return StoreOutcome.ConditionFailed;
        }

        if (!options.KeepExpiry
            && Services.Engine.TryInspect(session.Tenant, key, out var info)
            && info.ExpiresAt > 0
            && (options.ExpiresAt == 0 || options.ExpiresAt > info.ExpiresAt))
        {
            Services.Engine.SetExpiry(session.Tenant, key, options.ExpiresAt);
        }

        return StoreOutcome.Stored;
    }

    /// <summary>Nothing can be stored. The value that this one was to replace must go: a cache may forget, but not remember wrongly.</summary>
    private StoreOutcome Drop(ReadOnlySpan<byte> key, Intake intake, in SealOptions options)
    {
        if (options.Condition == SealCondition.IfAbsent)
        {
            // To say that it was stored would give a lock to two holders.
            return StoreOutcome.ConditionFailed;
        }

        if (!intake.IsContent)
        {
            Services.Engine.RemoveHere(session.Tenant, key);
        }

        return StoreOutcome.Dropped;
    }

    private enum IntakeStatus
    {
        Reserved,
        AlreadyPresent,
        Refused,
    }

    private readonly record struct Intake(int Argument, IntakeStatus Status, Reservation? Reservation, bool IsContent);
}

/// <summary>What became of a value.</summary>
internal enum StoreOutcome
{
    /// <summary>The key has this value now.</summary>
    Stored,

    /// <summary>NX or XX did not hold.</summary>
    ConditionFailed,

    /// <summary>The value was not kept. Callers answer as if it were, and the key has no value now.</summary>
    Dropped,
}
