namespace KvMesh.Gateway.Resp;

/// <summary>Errors in Redis 7.0's words, wherever Redis knows the situation: clients compare them.</summary>
internal static class RespErrors
{
    public const string Syntax = "ERR syntax error";
    public const string NotAnInteger = "ERR value is not an integer or out of range";
    public const string NoAuth = "NOAUTH Authentication required.";
    public const string WrongPassword = "WRONGPASS invalid username-password pair or user is disabled.";
    public const string ClusterDisabled = "ERR This instance has cluster support disabled";
    public const string NoPassword =
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?";

    public const string HelloNoAuth =
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to "
        + "authenticate the client and select the RESP protocol version at the same time";

    public const string BadClientName = "ERR Client names cannot contain spaces, newlines or special characters.";
    public const string BadDatabase = "ERR DB index is out of range";
    public const string BadCursor = "ERR invalid cursor";
    public const string NoSuchClient = "ERR No such client";

    public static string Arity(RespCommand command) => $"ERR wrong number of arguments for '{command.Name}' command";

    public static string ExpireTime(RespCommand command) => $"ERR invalid expire time in '{command.Name}' command";

    public static string Forbidden(RespCommand command) => $"NOPERM this user has no permissions to run the '{command.Name}' command";

    public static string KeyTooLong(int bytes, int limit) => $"ERR key of {bytes} bytes is over the limit of {limit} bytes";

    public static string ValueTooLong(int bytes, int limit) => $"ERR value of {bytes} bytes is over the limit of {limit} bytes";

    public static string ArgumentTooLong(int index, int bytes, int limit) =>
        $"ERR argument {index} of {bytes} bytes is over the limit of {limit} bytes for one request";
}
