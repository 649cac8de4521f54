using KvMesh.Engine.Blocks;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>The options that SET and GETEX share. Which go together, and what a repeated one means, is as in Redis 7.0.</summary>
internal struct ExtendedOptions
{
    [Flags]
    private enum Flags
    {
        None = 0,
        IfAbsent = 1,
        IfPresent = 2,
        Get = 4,
        KeepExpiry = 8,
        Persist = 16,
        Seconds = 32,
        Milliseconds = 64,
        AtSeconds = 128,
        AtMilliseconds = 256,
        AnyExpiry = Seconds | Milliseconds | AtSeconds | AtMilliseconds,
    }

    private Flags _flags;
    private int _expiryArgument;

    public readonly bool WantsPrevious => _flags.HasFlag(Flags.Get);

    public readonly bool Persists => _flags.HasFlag(Flags.Persist);

    public readonly bool KeepsExpiry => _flags.HasFlag(Flags.KeepExpiry);

    public readonly bool HasExpiry => (_flags & Flags.AnyExpiry) != 0;

    /// <summary>Whether the expiry is a moment, which may have passed, and not a duration.</summary>
    public readonly bool IsAbsolute => (_flags & (Flags.AtSeconds | Flags.AtMilliseconds)) != 0;

    public readonly SealCondition Condition =>
        _flags.HasFlag(Flags.IfAbsent) ? SealCondition.IfAbsent : _flags.HasFlag(Flags.IfPresent) ? SealCondition.IfPresent : SealCondition.Always;

    /// <summary>Reads the options from <paramref name="first"/> on. False is a syntax error.</summary>
    public static bool TryParse(in RespRequest request, int first, bool isSet, out ExtendedOptions options)
    {
        options = default;
        for (var index = first; index < request.Count; index++)
        {
            var hasNext = index + 1 < request.Count;
            if (options.TryTakeExpiry(request, index, hasNext))
            {
                index++;
            }
            else if (!(isSet ? options.TryTakeSetWord(request, index) : options.TryTakeGetWord(request, index)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The expiry in Unix milliseconds, 0 without one. False after an error was written.</summary>
    public readonly bool TryResolveExpiry(RespSession session, in RespRequest request, out long expiresAt)
    {
        expiresAt = 0;
        return !HasExpiry || TryResolve(
            session, request, _expiryArgument, (_flags & (Flags.Seconds | Flags.AtSeconds)) != 0, IsAbsolute, out expiresAt);
    }

    /// <summary>A positive expiry in seconds or milliseconds, from now or not. False after an error was written.</summary>
    public static bool TryResolve(RespSession session, in RespRequest request, int argument, bool isSeconds, bool isAbsolute, out long expiresAt)
    {
        if (!request.TryGetInteger(argument, out expiresAt))
        {
            session.Fail(RespErrors.NotAnInteger);
            return false;
        }

        var isValid = expiresAt > 0 && (!isSeconds || expiresAt <= long.MaxValue / 1000);
        if (isValid)
        {
            expiresAt *= isSeconds ? 1000 : 1;
            var now = isAbsolute ? 0 : session.Services.UnixMilliseconds;
            isValid = expiresAt <= long.MaxValue - now;
            expiresAt = isValid ? expiresAt + now : 0;
        }

        if (!isValid)
        {
            session.Fail(RespErrors.ExpireTime(session.LastCommand!));
        }

        return isValid;
    }

    private bool TryTakeExpiry(in RespRequest request, int index, bool hasNext)
    {
        var unit = request[index].Length switch
        {
            2 when request.Is(index, "EX"u8) => Flags.Seconds,
            2 when request.Is(index, "PX"u8) => Flags.Milliseconds,
            4 when request.Is(index, "EXAT"u8) => Flags.AtSeconds,
            4 when request.Is(index, "PXAT"u8) => Flags.AtMilliseconds,
            _ => Flags.None,
        };
        if (unit == Flags.None || !hasNext || (_flags & ((Flags.AnyExpiry & ~unit) | Flags.KeepExpiry | Flags.Persist)) != 0)
        {
            return false;
        }

        _flags |= unit;
        _expiryArgument = index + 1;
        return true;
    }

    private bool TryTakeSetWord(in RespRequest request, int index) =>
        request.Is(index, "NX"u8) ? TryAdd(Flags.IfAbsent, Flags.IfPresent)
        : request.Is(index, "XX"u8) ? TryAdd(Flags.IfPresent, Flags.IfAbsent)
        : request.Is(index, "GET"u8) ? TryAdd(Flags.Get, Flags.None)
        : request.Is(index, "KEEPTTL"u8) && TryAdd(Flags.KeepExpiry, Flags.AnyExpiry);

    private bool TryTakeGetWord(in RespRequest request, int index) => request.Is(index, "PERSIST"u8) && TryAdd(Flags.Persist, Flags.AnyExpiry);

    private bool TryAdd(Flags flag, Flags excluded)
    {
        _flags |= flag;
        return (_flags & excluded) == 0;
    }
}
