using KvMesh.Engine.Blocks;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Resp.Values;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp.Commands;

/// <summary>Commands that write values. A value that could not be kept is answered as if it were; see <see cref="StoreOutcome.Dropped"/>.</summary>
internal static class StoreCommands
{
    private const AccessRights ReadWrite = AccessRights.Read | AccessRights.Write;

    public static IReadOnlyList<RespCommand> All { get; } =
    [
        new("set", -3, Set)
        {
            Rights = AccessRights.Write, FirstKey = 1, LastKey = 1, FirstValue = 2, Flags = ["write", "denyoom"], StrictArguments = 3,
            StrictReply = "+OK\r\n"u8.ToArray(),
        },
        new("setnx", 3, SetIfAbsent) { Rights = AccessRights.Write, FirstKey = 1, LastKey = 1, FirstValue = 2, Flags = ["write", "denyoom", "fast"] },
        new("setex", 4, SetForSeconds) { Rights = AccessRights.Write, FirstKey = 1, LastKey = 1, FirstValue = 3, Flags = ["write", "denyoom"] },
        new("psetex", 4, SetForMilliseconds) { Rights = AccessRights.Write, FirstKey = 1, LastKey = 1, FirstValue = 3, Flags = ["write", "denyoom"] },
        new("getset", 3, GetAndSet) { Rights = ReadWrite, FirstKey = 1, LastKey = 1, FirstValue = 2, Flags = ["write", "denyoom", "fast"] },
        new("mset", -3, SetMany) { Rights = AccessRights.Write, FirstKey = 1, LastKey = -1, KeyStep = 2, FirstValue = 2, Flags = ["write", "denyoom"] },
    ];

    private static void Set(RespSession session, in RespRequest request)
    {
        if (!ExtendedOptions.TryParse(request, 3, isSet: true, out var options))
        {
            session.Fail(RespErrors.Syntax);
            return;
        }

        if (!options.TryResolveExpiry(session, request, out var expiresAt) || !session.Values.IsAcceptable(request, 1, 2))
        {
            return;
        }

        if (options.WantsPrevious && !session.Caller!.May(AccessRights.Read))
        {
            session.Fail(RespErrors.Forbidden(session.LastCommand!));
            return;
        }

        var seal = new SealOptions { Condition = options.Condition, ExpiresAt = expiresAt, KeepExpiry = options.KeepsExpiry };
        var outcome = session.Values.Store(request, 1, 2, seal, options.WantsPrevious, out var previous);
        if (options.WantsPrevious)
        {
            session.WriteAndClose(previous);
        }
        else if (outcome == StoreOutcome.ConditionFailed)
        {
            session.Writer.WriteNull();
        }
        else
        {
            session.Writer.WriteSimple("OK"u8);
        }
    }

    private static void SetIfAbsent(RespSession session, in RespRequest request)
    {
        if (session.Values.IsAcceptable(request, 1, 2))
        {
            var outcome = session.Values.Store(request, 1, 2, new SealOptions { Condition = SealCondition.IfAbsent });
            session.Writer.WriteInteger(outcome == StoreOutcome.ConditionFailed ? 0 : 1);
        }
    }

    private static void SetForSeconds(RespSession session, in RespRequest request) => SetFor(session, request, isSeconds: true);

    private static void SetForMilliseconds(RespSession session, in RespRequest request) => SetFor(session, request, isSeconds: false);

    private static void SetFor(RespSession session, in RespRequest request, bool isSeconds)
    {
        if (ExtendedOptions.TryResolve(session, request, 2, isSeconds, isAbsolute: false, out var expiresAt) && session.Values.IsAcceptable(request, 1, 3))
        {
            session.Values.Store(request, 1, 3, new SealOptions { ExpiresAt = expiresAt });
            session.Writer.WriteSimple("OK"u8);
        }
    }

    private static void GetAndSet(RespSession session, in RespRequest request)
    {
        if (session.Values.IsAcceptable(request, 1, 2))
        {
            session.Values.Store(request, 1, 2, default, wantsPrevious: true, out var previous);
            session.WriteAndClose(previous);
        }
    }

    private static void SetMany(RespSession session, in RespRequest request)
    {
        if (request.Count % 2 == 0)
        {
            session.Fail(RespErrors.Arity(session.LastCommand!));
            return;
        }

        for (var key = 1; key < request.Count; key += 2)
        {
            if (!session.Values.IsAcceptable(request, key, key + 1))
            {
                return;
            }
        }

        for (var key = 1; key < request.Count; key += 2)
        {
            session.Values.Store(request, key, key + 1, default);
        }

        session.Writer.WriteSimple("OK"u8);
    }
}
