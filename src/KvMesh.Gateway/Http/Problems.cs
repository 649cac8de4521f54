using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace KvMesh.Gateway.Http;

/// <summary>Refusals that say which field was wrong, what it was and what would have been accepted.</summary>
internal static class Problems
{
    // A refusal repeats what it refuses, but never more than an operator would read.
    private const int MaxEchoedCharacters = 200;

    public static ProblemHttpResult Field(string field, string? value, string limit, int status = StatusCodes.Status400BadRequest)
    {
        var shown = value ?? "(missing)";
        shown = shown.Length > MaxEchoedCharacters ? $"{shown[..MaxEchoedCharacters]}… ({shown.Length} characters)" : shown;
        var details = new ProblemDetails
        {
            Status = status,
            Title = status == StatusCodes.Status404NotFound ? "Not found" : "The request is wrong",
            Detail = $"{field} is {shown}; {limit}.",
        };
        details.Extensions["field"] = field;
        details.Extensions["value"] = shown;
        details.Extensions["limit"] = limit;
        return TypedResults.Problem(details);
    }

    public static ProblemHttpResult Plain(int status, string title, string detail) =>
        TypedResults.Problem(new ProblemDetails { Status = status, Title = title, Detail = detail });
}
